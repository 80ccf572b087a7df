"""The label sets of the model, in the order of its outputs."""

SENTIMENTS = ("negative", "neutral", "positive")
STANCES = ("assert", "deny", "ask", "other")
TOPICS = (
    "withdrawal_difficulty",
    "absconding",
    "liquidity_crisis",
    "illegal_fundraising",
    "abusive_collection",
    "usury",
    "false_advertising",
    "data_breach",
    "service_outage",
    "fraud",
    "regulatory_action",
    "executive_misconduct",
    "layoffs_arrears",
    "customer_complaint",
    "product_licence",
    "compliance_breach",
    "rumor",
)
DOMAINS = ("finance", "news", "forum", "review")
"""Kinds of text whose sentiments mean different things: a company's good or ill, news value, share price, a purchase
liked or not."""
EVENTS = (
    "其他", "信批违规", "实控人股东变更", "交易违规", "不能履职", "涉嫌非法集资", "重组失败", "评级调整",
    "业绩下滑", "财务造假", "涉嫌违法", "涉嫌传销", "资金账户风险", "涉嫌欺诈", "高管负面", "业务资产重组",
    "资产负面", "投诉维权", "债务违约", "提现困难", "产品违规", "失联跑路", "歇业停业",
)  # fmt: skip
"""Event types of CCKS 2019/2020 with at least forty examples; an auxiliary task in training only."""
EMOTIONS = ("neutral", "happy", "angry", "sad", "fear", "surprise")
"""Emotions of SMP2020-EWECT; an auxiliary task in training only."""
