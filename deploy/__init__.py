"""What runs Yujing on real engines: templates, dashboards, and test servers of its own."""
