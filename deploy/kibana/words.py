"""The one table of what people read: a Chinese label and a format for every field, words for values, colours."""

from __future__ import annotations

from deploy.kibana.panels import Names

FIELDS: dict[str, tuple[str, str]] = {
    "@timestamp": ("发布时间", ""),
    "event.ingested": ("入库时间", ""),
    "post.id": ("帖子编号", ""),
    "post.platform": ("平台", "platform"),
    "post.source": ("数据源", "source"),
    "post.native_id": ("平台内编号", ""),
    "post.title": ("标题", ""),
    "post.text": ("正文", ""),
    "post.title.cjk": ("标题（二元切分）", ""),
    "post.text.cjk": ("正文（二元切分）", ""),
    "post.tokens": ("分词", ""),
    "post.fetched_at": ("采集时间", ""),
    "post.date_only": ("仅知日期", ""),
    "post.repost_of": ("转发自", ""),
    "post.delay_s": ("发布到入库", "duration"),
    "url.full": ("链接", "url"),
    "author.key": ("作者标识", "short"),
    "author.name": ("作者", ""),
    "author.tier": ("作者类别", "tier"),
    "author.verified": ("已认证", ""),
    "author.followers": ("粉丝数", "number"),
    "engagement.reposts": ("转发", "number"),
    "engagement.comments": ("评论", "number"),
    "engagement.likes": ("点赞", "number"),
    "engagement.views": ("阅读", "number"),
    "engagement.total": ("互动量", "number"),
    "assessment.model": ("模型", ""),
    "assessment.sentiment": ("情感", "sentiment"),
    "assessment.probability.negative": ("负面概率", "percent"),
    "assessment.probability.neutral": ("中性概率", "percent"),
    "assessment.probability.positive": ("正面概率", "percent"),
    "assessment.ad": ("广告", ""),
    "assessment.ad_probability": ("广告概率", "percent"),
    "assessment.keywords": ("关键词", ""),
    "assessment.decisive": ("判断依据", ""),
    "assessment.story": ("话题簇", "short"),
    "assessment.coordination": ("疑似水军程度", "percent"),
    "assessment.influence": ("影响力", "decimal"),
    "assessment.corrected_by": ("改判人", ""),
    "brand.id": ("品牌", "brand"),
    "brand.negative": ("负面品牌", "brand"),
    "brand.neutral": ("中性品牌", "brand"),
    "brand.positive": ("正面品牌", "brand"),
    "topic.id": ("话题", "topic"),
    "topic.assert": ("声称的话题", "topic"),
    "topic.deny": ("否认的话题", "topic"),
    "topic.ask": ("询问的话题", "topic"),
    "topic.other": ("仅提及的话题", "topic"),
    "micros.published": ("发布时间（微秒，内部用）", ""),
    "micros.fetched": ("采集时间（微秒，内部用）", ""),
}
"""Posts: field → (label, format)."""

EVENT_FIELDS: dict[str, tuple[str, str]] = {
    "@timestamp": ("时间", ""),
    "event.id": ("记录编号", ""),
    "event.kind": ("记录类别", "kind"),
    "brand.id": ("品牌", "brand"),
    "topic.id": ("话题", "topic"),
    "level": ("级别", "level"),
    "alert.id": ("预警编号", "short"),
    "alert.revision": ("版次", "number"),
    "alert.change": ("变化", "change"),
    "alert.state": ("预警状态", "state"),
    "alert.score": ("得分", "decimal"),
    "alert.explanation": ("原因", ""),
    "alert.source": ("数据源", "source"),
    "alert.onset": ("起始时间", ""),
    "alert.first_at": ("首次预警", ""),
    "alert.detection_s": ("发现用时", "duration"),
    "incident.id": ("事件编号", ""),
    "incident.status": ("事件状态", "status"),
    "incident.owner": ("处置人", ""),
    "incident.plan": ("预案", "topic"),
    "incident.opened_at": ("立案时间", ""),
    "incident.acknowledged_at": ("确认时间", ""),
    "incident.closed_at": ("关闭时间", ""),
    "incident.acknowledge_s": ("确认用时", "duration"),
    "incident.close_s": ("关闭用时", "duration"),
    "timeline.kind": ("动作", ""),
    "timeline.actor": ("操作人", ""),
    "timeline.reason": ("理由", ""),
    "delivery.id": ("投递编号", "short"),
    "delivery.channel": ("渠道", ""),
    "delivery.route": ("路由", ""),
    "delivery.state": ("投递状态", "delivery"),
    "delivery.tries": ("尝试次数", "number"),
    "delivery.error": ("投递错误", ""),
    "delivery.sent_at": ("送达时间", ""),
    "delivery.wait_s": ("投递用时", "duration"),
    "source.id": ("数据源", "source"),
    "source.outcome": ("采集结果", "outcome"),
    "source.seeing": ("看得见", ""),
    "source.detail": ("说明", ""),
    "source.requests": ("请求数", "number"),
    "source.found": ("页面帖子", "number"),
    "source.new": ("新帖", "number"),
    "source.refreshed": ("更新", "number"),
    "source.rejected": ("丢弃", "number"),
    "source.duration_s": ("采集用时", "duration"),
    "dead.source": ("数据源", "source"),
    "dead.platform": ("平台", "platform"),
    "dead.reason": ("死信原因", ""),
}
"""Events: field → (label, format)."""

VALUES: dict[str, dict[str, str]] = {
    "sentiment": {"negative": "负面", "neutral": "中性", "positive": "正面"},
    "tier": {
        "user": "普通用户",
        "big_v": "大V",
        "regional_media": "地方媒体",
        "central_media": "中央媒体与机关",
    },
    "level": {
        "none": "无",
        "blue": "蓝 一般",
        "yellow": "黄 较大",
        "orange": "橙 重大",
        "red": "红 特别重大",
    },
    "change": {"new": "新预警", "update": "新高", "escalated": "升级", "recovered": "恢复"},
    "state": {
        "firing": "预警中",
        "acknowledged": "已确认",
        "silenced": "已静默",
        "resolved": "已恢复",
        "superseded": "已更新",
    },
    "status": {
        "triage": "待研判",
        "confirmed": "已确认",
        "responding": "处置中",
        "stable": "稳定",
        "closed": "已关闭",
        "false_alarm": "误报",
    },
    "outcome": {
        "results": "正常",
        "empty": "确认为空",
        "blocked": "被拦截",
        "schema_changed": "页面改版",
        "unreachable": "连不上",
    },
    "kind": {
        "alert": "预警",
        "incident": "事件",
        "timeline": "时间线",
        "delivery": "投递",
        "source_run": "采集",
        "dead_letter": "死信",
    },
    "delivery": {"waiting": "等待", "sent": "已送达", "failed": "失败", "dropped": "未发送"},
}
"""Format name → value → word; ``brand``, ``topic``, ``source`` and ``platform`` are the installation's."""

NEGATIVE, NEUTRAL, POSITIVE = "#C8372D", "#AAB4BE", "#2B8C82"
"""Told apart by people who confuse red and green, and by lightness in grey print."""
BEFORE = "#5B6B7B"
"""Last week."""
PLAIN = "#3A6EA5"
COLOURS: dict[str, dict[str, str]] = {
    "sentiment": {"negative": NEGATIVE, "neutral": NEUTRAL, "positive": POSITIVE},
    "level": {
        "none": NEUTRAL,
        "blue": "#3B7DD8",
        "yellow": "#E3B505",
        "orange": "#EC7A1C",
        "red": "#CC2B2B",
    },
    "tier": {
        "user": "#AAB4BE",
        "big_v": "#E0A33A",
        "regional_media": "#6A8FC0",
        "central_media": "#2F4B7C",
    },
    "outcome": {
        "results": "#2B8C82",
        "empty": "#AAB4BE",
        "blocked": "#C8372D",
        "schema_changed": "#EC7A1C",
        "unreachable": "#7D3C98",
    },
    "status": {
        "triage": "#C8372D",
        "confirmed": "#EC7A1C",
        "responding": "#E3B505",
        "stable": "#6A8FC0",
        "closed": "#2B8C82",
        "false_alarm": "#AAB4BE",
    },
    "delivery": {"waiting": "#E3B505", "sent": "#2B8C82", "failed": "#C8372D", "dropped": "#AAB4BE"},
}
"""Fixed colours by value: the same thing looks the same everywhere."""

SERIES = (
    "#2F4B7C",
    "#E0833A",
    "#2B8C82",
    "#8E5EA2",
    "#C2537A",
    "#6A8FC0",
    "#9A8C3C",
    "#7A7F87",
    "#4C9F50",
    "#B0603A",
)
"""For brands, topics, platforms and sources, in order."""

RAMP = ("#FBEDEA", "#F3C6BF", "#E59A90", "#D5655A", "#B8352B")
"""Few to many, of heat maps."""

_PLAIN_FORMATS: dict[str, dict[str, object]] = {
    "url": {"id": "url", "params": {"type": "a", "labelTemplate": "打开原文", "openLinkInCurrentTab": False}},
    "percent": {"id": "percent", "params": {"pattern": "0.0%"}},
    "number": {"id": "number", "params": {"pattern": "0,0"}},
    "decimal": {"id": "number", "params": {"pattern": "0,0.0"}},
    "short": {"id": "truncate", "params": {"fieldLength": 8}},
    "duration": {
        "id": "duration",
        "params": {
            "inputFormat": "seconds",
            "outputFormat": "humanizePrecise",
            "outputPrecision": 1,
            "showSuffix": True,
            "useShortSuffix": True,
            "includeSpaceWithSuffix": True,
        },
    },
}


def words_of(kind: str, names: Names) -> dict[str, str]:
    """Value → word of a format; empty for one that is no list of words."""
    own = {
        "brand": names.brands,
        "topic": names.topics,
        "source": names.sources,
        "platform": names.platforms,
    }
    return own.get(kind) or VALUES.get(kind, {})


def label(field: str, *, events: bool) -> str:
    """What a field is called. Raises ``KeyError`` for one that has no name: then it is shown nowhere."""
    return (EVENT_FIELDS if events else FIELDS)[field][0]


def kind_of(field: str, *, events: bool) -> str:
    """Name of a field's format; empty for Kibana's default."""
    return (EVENT_FIELDS if events else FIELDS)[field][1]


def field_format(kind: str, names: Names) -> dict[str, object] | None:
    """A format as a data view holds it."""
    if kind in _PLAIN_FORMATS:
        return _PLAIN_FORMATS[kind]
    words = words_of(kind, names)
    if not words:
        return None
    entries = [{"key": value, "value": word} for value, word in words.items()]
    return {"id": "static_lookup", "params": {"lookupEntries": entries, "unknownKeyValue": None}}
