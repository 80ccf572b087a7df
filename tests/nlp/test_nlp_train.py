from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.errors import ConfigError, InputError, ModelError
from nlp import bundle, card, train, train_settings
from nlp.corpus import NOT_NEGATIVE, Example, only, read, renamed
from nlp.corpus_files import digest, text_hash
from nlp.judgement import Item
from nlp.labels import STANCES, TOPICS
from nlp.runtime import Runtime
from nlp.split import HELD_OUT, Split, clusters, split
from nlp.wide import Wide, grams

HERE = Path(__file__).parent


def small(chosen: dict[str, Any]) -> dict[str, Any]:
    """Settings for a training of seconds."""
    chosen["held_out"] = 0.5
    chosen["encoder"] |= {"tokens": 1024, "passes": 2, "threads": 1, "focus_from": 0.5, "precision": "fp32"}
    chosen["wide"] |= {"features": 3_000}
    chosen["kinds"] |= {"features": 3_000, "least": 1}
    return chosen


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(text, "utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All corpora, small, made of the authored posts."""
    folder = tmp_path_factory.mktemp("data")
    rows = [json.loads(line) for line in (HERE / "authored_eval.jsonl").read_text("utf-8").splitlines()]
    # As they are, all of them fall on the held-out side: that is what they were chosen for.
    rows = [row | {"text": f"听说，{row['text']}"} for row in rows]
    write(folder, "authored_posts", rows[:140])
    write(folder, "finance_posts.labelled.train", [row | {"title": ""} for row in rows[140:200]])
    write(folder, "finance_posts.labelled.more.train", [row | {"title": ""} for row in rows[200:260]])
    write(
        folder,
        "finance_negative.train",
        [
            {
                "id": row["id"], "title": "", "text": row["text"], "entities": row["entities"],
                "negative": int(row["sentiment"] == "negative"), "key_entities": row["negative_about"],
            }
            for row in rows[260:290]
        ],
    )  # fmt: skip
    write(folder, "written_posts", rows[330:338])
    write(folder, "unlabelled", [{"source": "finance_post", "text": row["text"]} for row in rows[338:343]])
    labels = [
        {
            "sha256": text_hash(row["text"]), "sentiment": row["sentiment"], "topics": row["topics"],
            "stance": row["stance"], "ad": row["ad"],
            "entities": [[row["text"].index(e), row["text"].index(e) + len(e)] for e in row["entities"]],
            "negative_about": [row["entities"].index(e) for e in row["negative_about"]],
        }
        for row in rows[338:343]
    ]  # fmt: skip
    # One of a public set, which labels its companies itself.
    labels.append(labels[0] | {"sha256": text_hash(rows[260]["text"]), "entities": [], "negative_about": []})
    write(folder, "read_posts", labels)
    write(
        folder,
        "review_polarity.train",
        [
            {"text": f"{i}号房很{'脏' if i % 2 else '干净'}", "positive": (i + 1) % 2, "domain": "hotel"}
            for i in range(30)
        ],
    )
    write(folder, "weibo_emotion.train", [{"text": "气死我了", "emotion": "angry"}])
    for name, part in (("news", rows[290:310]), ("forum", rows[310:330])):
        write(
            folder,
            f"{name}_sentiment.train",
            [{"text": r["text"], "sentiment": r["sentiment"]} for r in part],
        )
    write(
        folder,
        "crisis_events.train",
        [
            {
                "id": "1",
                "text": "某公司信息披露违规被问询",
                "types": ["信批违规"],
                "entities": ["某公司"],
                "source": "x",
            }
        ]
        * 3,
    )
    return folder


def test_each_set_says_only_what_its_labels_say(data: Path) -> None:
    project = read(data, "authored_posts")
    for example in project:
        assert sum(example.sentiment) == 1 and example.topics is not None and example.ad is not None
        assert example.stance == STANCES.index(example.row["stance"])
        for (_, mask), name in zip(example.entities, example.row["entities"], strict=True):
            assert (mask == only("negative")) == (name in example.row["negative_about"])
    for example in read(data, "finance_negative.train"):
        assert example.sentiment in (only("negative"), NOT_NEGATIVE)
        assert example.topics is None and example.stance is None and example.ad is None
    (event, *_) = read(data, "crisis_events.train")
    assert event.sentiment == (True, True, True) and event.topics == (TOPICS.index("compliance_breach"),)
    (felt,) = read(data, "weibo_emotion.train")
    assert felt.emotion is not None and felt.domain == -1 and felt.topics is None
    assert {e.sentiment for e in read(data, "review_polarity.train")} == {only("positive"), only("negative")}


def test_labels_by_hash_find_their_texts_and_their_companies(data: Path) -> None:
    found = read(data, "read_posts")
    public = {example.text for example in read(data, "finance_negative.train")}
    assert len(found) == 6 and [example.entities for example in found if example.text in public] == [()]
    for example in found:
        assert all(name in example.text for name, _ in example.entities)
        accused = [name for name, mask in example.entities if mask == only("negative")]
        assert bool(accused) == bool(example.row["negative_about"])


def test_copies_and_contrast_groups_stay_on_one_side() -> None:
    text = "云桥金融昨晚起无法提现,客服电话一直占线,已经有上百位投资人聚集在公司楼下,希望监管尽快介入"
    make = lambda i, text, group="": Example(set="authored_posts", key=str(i), text=text, group=group)  # noqa: E731
    roots = clusters(
        [
            make(0, text),
            make(1, text + "!"),
            make(2, "别的话", "g1"),
            make(3, "另一句", "g1"),
            make(4, "无关"),
        ]
    )
    assert roots[0] == roots[1] != roots[2] == roots[3] != roots[4]


def test_the_split_is_stable_and_without_leaks(data: Path) -> None:
    one, two = split(data, held_out=0.5), split(data, held_out=0.5)
    assert [e.key for e in one.test] == [e.key for e in two.test] and one.test and one.tune
    sides = [{e.text for e in part} for part in (one.train, one.tune, one.test)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    groups = [{e.group for e in part if e.group} for part in (one.train, one.tune, one.test)]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_renaming_changes_who_and_nothing_else() -> None:
    example = Example(
        set="authored_posts",
        key="1",
        text="云桥金融跑路了,云桥在河口贷之后",
        entities=(("云桥金融", only("negative")), ("云桥", only("negative")), ("河口贷", NOT_NEGATIVE)),
    )
    changed = renamed(example, ["新甲", "新乙丙"], np.random.default_rng(1))
    names = [name for name, _ in changed.entities]
    assert [mask for _, mask in changed.entities] == [mask for _, mask in example.entities]
    assert changed.text == f"{names[0]}跑路了,{names[1]}在{names[2]}之后"


def test_a_name_that_stands_only_within_another_goes_with_it() -> None:
    names = (("金领贷", only("negative")), ("北京金领贷", only("negative")), ("云桥", NOT_NEGATIVE))
    example = Example(set="authored_posts", key="1", text="北京金领贷跑路了", entities=names)
    changed = renamed(example, ["新甲"], np.random.default_rng(1))
    assert changed.text == "新甲跑路了"
    assert [name for name, _ in changed.entities] == ["新甲", "新甲", "云桥"], (
        "who was never there keeps the name"
    )


def test_a_broken_corpus_is_named_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "authored_posts.jsonl").write_text('{"id": "1"', "utf-8")
    with pytest.raises(InputError, match=r"authored_posts.jsonl 第 1 行"):
        read(tmp_path, "authored_posts")
    with pytest.raises(InputError, match="没有 news_sentiment"):
        read(tmp_path, "news_sentiment.train")


GOOD = {
    "id": "1", "text": "云桥金融跑路", "sentiment": "negative", "topics": ["absconding"], "stance": "assert",
    "ad": False, "entities": ["云桥金融"], "negative_about": ["云桥金融"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("跑路".encode("gb18030"), "不是 UTF-8"),
        (b"[1]", "不是一组键值"),
        (b"[" * 100_000, "不是 JSON"),
        ({**GOOD, "topics": ["running_away"]}, "'running_away' 不在"),
        ({**GOOD, "stance": "shout"}, "'shout' 不在"),
        ({**GOOD, "sentiment": "bad"}, "'bad' 不在"),
        ({key: GOOD[key] for key in GOOD if key != "text"}, "没有 text"),
        ({**GOOD, "text": 5}, "内容不对"),
        ({**GOOD, "entities": None}, "内容不对"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, bad: Any, why: str) -> None:
    line = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
    (tmp_path / "written_posts.jsonl").write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=r"written_posts\.jsonl 第 2 行") as caught:
        read(tmp_path, "written_posts")
    assert why in str(caught.value) and "\n" not in str(caught.value)


def test_a_compressed_file_that_ends_early_is_named_with_its_row(tmp_path: Path) -> None:
    rows = [GOOD | {"text": text_hash(str(i))} for i in range(200)]
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    (tmp_path / "written_posts.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"written_posts\.jsonl\.gz 第 \d+ 行读不出来"):
        read(tmp_path, "written_posts")


@pytest.mark.parametrize(("name", "where"), [("read_posts", "read_posts"), ("unlabelled", "unlabelled")])
def test_labels_by_hash_that_cannot_be_used_are_named(
    data: Path, tmp_path: Path, name: str, where: str
) -> None:
    for path in data.iterdir():
        shutil.copy(path, tmp_path)
    path = tmp_path / f"{name}.jsonl"
    first, *rest = path.read_text("utf-8").splitlines()
    wrong = json.loads(first) | {"negative_about": [9]}
    wrong.pop("text", None)
    path.write_text("\n".join([*rest, json.dumps(wrong)]), "utf-8")
    with pytest.raises(InputError, match=rf"{where}\.jsonl 第 {len(rest) + 1} 行"):
        read(tmp_path, "read_posts")


def test_settings_are_checked(tmp_path: Path) -> None:
    parts = {"encoder", "wide", "kinds", "pretrain", "imitate", "distil"}
    assert set(train_settings.read()) == {"held_out", *parts}
    assert train_settings.read()["held_out"] == HELD_OUT, "what a team replays is parted the same way"
    bad = tmp_path / "t.yaml"
    for text in ("held_out: 1", "encoder: 3", "[", "- 1", "more: 1"):
        bad.write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=r"t\.yaml"):
            train_settings.read(bad)


def test_settings_of_ones_own_say_only_what_differs(tmp_path: Path) -> None:
    own = tmp_path / "t.yaml"
    own.write_text("encoder:\n  passes: 3\n", "utf-8")
    shipped = train_settings.read()
    assert train_settings.read(own) == {**shipped, "encoder": {**shipped["encoder"], "passes": 3}}


def test_settings_are_merged_at_every_depth_and_numbers_may_be_written_as_people_do(tmp_path: Path) -> None:
    own = tmp_path / "t.yaml"
    own.write_text(
        "encoder: {learning_rate: 3e-5, accumulate: 4, shares: {authored_posts: 2}}\n"
        "pretrain: {sets: {unlabelled/ours: 1e0}}\nimitate: {sets: {ours: 2}}\nwide: {features: 9e3}\n",
        "utf-8",
    )
    shipped, chosen = train_settings.read(), train_settings.read(own)
    assert chosen["encoder"]["learning_rate"] == 3e-5 and chosen["encoder"]["accumulate"] == 4
    assert chosen["encoder"]["shares"] == {**shipped["encoder"]["shares"], "authored_posts": 2}
    assert chosen["pretrain"]["sets"] == {**shipped["pretrain"]["sets"], "unlabelled/ours": 1.0}
    assert chosen["imitate"]["sets"] == {**shipped["imitate"]["sets"], "ours": 2.0}
    assert chosen["wide"]["features"] == 9_000 and type(chosen["wide"]["features"]) is int


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("encoder: {lerning_rate: 0.1}", "encoder.lerning_rate"),
        ("encoder: {learning_rate: fast}", "encoder.learning_rate"),
        ("encoder: {learning_rate: true}", "encoder.learning_rate"),
        ("encoder: {learning_rate: .nan}", "encoder.learning_rate"),
        ("encoder: {tokens: 10.5}", "encoder.tokens"),
        ("encoder: {passes: 0}", "encoder.passes"),
        ("encoder: {dropout: 1.5}", "encoder.dropout"),
        ("encoder: {precision: fp16}", "encoder.precision"),
        ("encoder: {precision: [1]}", "encoder.precision"),
        ("encoder: {shares: 2}", "encoder.shares"),
        ("encoder: {shares: {autored_posts: 2}}", "encoder.shares.autored_posts"),
        ("encoder: {losses: {sentiment: -1}}", "encoder.losses.sentiment"),
        ("wide: {feature: 3}", "wide.feature"),
        ("kinds: {strength: [1]}", "kinds.strength"),
        ("pretrain: {mask: 0.2}", "pretrain.mask"),
        ("imitate: {masked: 0.2}", "imitate.masked"),
        ("distil: {variants: {unlabeled/weibo: 1}}", "distil.variants.unlabeled/weibo"),
        ("distil: {1: 2}", "distil.1"),
        ("held_out: 0", "held_out"),
        ("held_out: x", "held_out"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        train_settings.read(path)
    assert f"{path}：" in str(caught.value) and key in str(caught.value) and "\n" not in str(caught.value)


def test_the_shipped_settings_pass_their_own_checks() -> None:
    for name in ("train.yaml", "teacher.yaml", "taught.yaml"):
        train_settings.read(Path(train_settings.__file__).with_name(name))


def test_a_base_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="词表读不了"):
        train.train(
            data=data, base=tmp_path, out=tmp_path / "o", work=tmp_path / "w",
            chosen=small(train_settings.read()), budget_min=1, say=print,
        )  # fmt: skip
    assert not (tmp_path / "w").exists(), "nothing has begun"


def test_a_base_or_teacher_that_cannot_be_read_is_refused_before_anything_begins(
    data: Path, base: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(base, broken)
    (broken / "model.safetensors").write_bytes(b"rubbish")
    teacher = tmp_path / "teacher"
    shutil.copytree(bundle.shipped(), teacher)
    (teacher / "encoder.onnx").write_bytes(b"rubbish")
    for start, who in ((broken, []), (base, [teacher]), (base, [bundle.shipped(), tmp_path])):
        with pytest.raises(ModelError):
            train.train(
                data=data, base=start, before=train.Before(teachers=who), out=tmp_path / "o", work=tmp_path / "w",
                chosen=small(train_settings.read()), budget_min=1, say=print,
            )  # fmt: skip
        assert not (tmp_path / "w").exists()
    with pytest.raises(ModelError, match="不能再预训练"):
        train.train(
            data=data, base=bundle.shipped(), out=tmp_path / "o", work=tmp_path / "w",
            chosen=small(train_settings.read()), budget_min=1, before=train.Before(pretrain_min=1), say=print,
        )  # fmt: skip


def test_a_guide_that_is_none_is_refused_before_anything_begins(
    data: Path, base: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    shutil.copytree(base, short)
    guided(short, max_position_embeddings=99)
    for guide, why in ((tmp_path / "none", "none 的词表"), (base, "--guide 要另一个"), (short, "一次读不了")):
        with pytest.raises(ModelError, match=why):
            train.train(
                data=data, base=base, before=train.Before(guide=guide, guide_min=1),
                out=tmp_path / "o", work=tmp_path / "w", chosen=small(train_settings.read()), budget_min=1, say=print,
            )  # fmt: skip
        assert not (tmp_path / "w").exists()


def guided(folder: Path, **settings: int) -> None:
    """Put another encoder in the place of a tiny base's."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder)
    config.update(settings)
    AutoModel.from_config(config).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_the_labels_are_learnt_by_has_imitated_the_guide(data: Path, base: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def until_the_corpora(line: str) -> None:
        if line == "读语料":
            raise Enough

    guide = tmp_path / "guide"
    shutil.copytree(base, guide)
    guided(guide, hidden_size=48)
    chosen = small(train_settings.read())
    chosen["imitate"] |= {"sets": {"authored_posts": 1.0}, "threads": 1}
    with pytest.raises(Enough):
        train.train(
            data=data, base=base, before=train.Before(guide=guide, guide_min=0.05),
            out=tmp_path / "o", work=tmp_path / "w", chosen=chosen, budget_min=1, say=until_the_corpora,
        )  # fmt: skip
    claimed = json.loads((tmp_path / "w" / "run.json").read_text("utf-8"))
    assert (claimed["guide"], claimed["guide_min"]) == (digest(guide / "model.safetensors"), 0.05)
    made = json.loads((tmp_path / "w" / "imitated" / "model" / "pretraining.json").read_text("utf-8"))
    assert made["practice"]["sets"] == {"authored_posts": 1.0} and made["run"]["minutes"] <= 0.2


def test_a_folder_of_somebody_else_is_no_work_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ConfigError, match="别的东西（model）"):
        train._claim(tmp_path, {})


def refused(out: Path, work: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        train.destination(out, work)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_place_where_no_model_can_be_put_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (".", "/", ".."):
        assert "当前目录" in refused(Path(place))
    (tmp_path / "file").write_text("mine", "utf-8")
    assert "不是目录" in refused(Path("file"))
    assert "写不了" in refused(Path("file/model"))
    model = tmp_path / "model"
    assert train.destination(Path("model")) == model
    assert "--work" in refused(model, model / "work")
    model.mkdir()
    assert train.destination(model) == model, "an empty folder may be filled"
    (model / "notes.txt").write_text("mine", "utf-8")
    assert "notes.txt" in refused(model)
    (model / "manifest.json").write_text("{}", "utf-8")
    assert "notes.txt" in refused(model), "what somebody put beside a model is not ours"
    (model / "notes.txt").unlink()
    assert train.destination(model) == model


def test_a_bad_place_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(InputError, match="不覆盖"):
        train.train(
            data=tmp_path / "none", base=tmp_path, out=tmp_path, work=tmp_path.parent / "w",
            chosen={}, budget_min=1, say=print,
        )  # fmt: skip
    assert not (tmp_path.parent / "w").exists()


def test_the_swap_replaces_the_model_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, out = tmp_path / "made", tmp_path / "model"
    for folder, content in ((made, "new"), (out, "old")):
        folder.mkdir()
        (folder / "manifest.json").write_text(content, "utf-8")
    for name in ("model.old", "model.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine", "utf-8")
    before = {path.name for path in tmp_path.iterdir()}

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    rename = Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train._swap(made, out)
    assert (out / "manifest.json").read_text("utf-8") == "old"
    train._swap(made, out)
    assert (out / "manifest.json").read_text("utf-8") == "new"
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / "model.old" / "mine").exists() and (tmp_path / "model.part" / "mine").exists()


def test_another_budget_is_another_run(tmp_path: Path) -> None:
    run = {"data": {}, "base": "b", "settings": {"held_out": 0.5}, "budget_min": 1.0}
    train._claim(tmp_path / "w", run)
    train._claim(tmp_path / "w", run)
    with pytest.raises(ConfigError, match=r"按 --budget-min 1 开始.*删掉"):
        train._claim(tmp_path / "w", {**run, "budget_min": 45.0})
    with pytest.raises(ConfigError, match="另一次训练"):
        train._claim(tmp_path / "w", {**run, "base": "c"})
    (tmp_path / "w" / "run.json").write_text("[" * 9, "utf-8")
    with pytest.raises(ConfigError, match="读不了"):
        train._claim(tmp_path / "w", run)


def test_the_card_names_the_real_base_and_all_that_came_before_the_labels(data: Path) -> None:
    (data / "customer_service_pairs.jsonl").write_text("{}", "utf-8")
    read_too = train.digests(data, ["customer_service_pairs"])
    assert set(read_too) - set(train.digests(data)) == {"customer_service_pairs.jsonl"}
    run = {
        "data": read_too, "base": "0" * 64, "pretrain_min": 60.0, "guide": "1" * 64, "guide_min": 30.0,
        "teachers": ["big@1", "own@2"], "distil_min": 90.0, "budget_min": 45.0, "settings": {"held_out": 0.2},
    }  # fmt: skip
    parts = Split(train=[], tune=[], test=[])
    made = card.describe(run=run, parts=parts, fitting={}, scores={})
    assert (made["base_sha256"], made["guide"], made["teachers"]) == ("0" * 64, "1" * 64, ["big@1", "own@2"])
    minutes = ("further_pretraining", "imitation", "distillation", "budget")
    assert [made[f"{name}_minutes"] for name in minutes] == [60, 30, 90, 45]
    told = card.markdown(made, {"yujing": {}})
    assert f"sha256 `{'0' * 64}`; before the labels it guessed masked words for 60 minutes and then" in told
    assert f"imitated the larger encoder sha256 `{'1' * 64}` for 30 minutes and then" in told
    assert (
        "learnt from `big@1` and `own@2` for at most 90 minutes" in told and "customer_service_pairs" in told
    )
    plain = run | {"base": "hub/name", "pretrain_min": 0.0, "guide": "", "guide_min": 0.0, "teachers": []}
    told = card.markdown(card.describe(run=plain, parts=parts, fitting={}, scores={}), {"yujing": {}})
    assert "base encoder: `hub/name`, as the hub gave it\n" in told


def test_grams_are_counted_once_each_and_carriers_point_at_them() -> None:
    hashes, _ = grams("跑路跑路")
    assert len(hashes) == 4 + 3 + 2 + 1 and len(np.unique(hashes)) == 2 + 2 + 2 + 1
    known = np.unique(grams("跑路")[0])
    wide = Wide(
        hashes=known,
        idf=np.ones(len(known), np.float32),
        weights=np.full((len(known), 1), 100, np.int8),
        scale=np.array([0.01], np.float32),
        bias=np.array([-1.0], np.float32),
    )
    assert wide.logits(["无关的话", "老板跑路"])[:, 0].argmax() == 1
    assert wide.logits(["", "无关的话"]).tolist() == [[-1.0], [-1.0]]
    carried = wide.carriers("老板跑路了", [0])
    assert set(np.flatnonzero(carried)) == {2, 3}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_training_goes_on_and_ends_in_a_model_that_loads(
    data: Path, base: Path, tmp_path: Path
) -> None:
    from nlp import learn

    chosen = small(train_settings.read())
    told: list[str] = []

    class Killed(Exception):
        pass

    def stop_after_ten(line: str) -> None:
        told.append(line)
        if "步" in line and "遍" in line:
            raise Killed

    def run(say: Any, budget: float = 2.0) -> str:
        return train.train(
            data=data,
            base=base,
            out=tmp_path / "out",
            work=tmp_path / "work",
            chosen=chosen,
            budget_min=budget,
            say=say,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learn, "SAVE_EVERY_S", 0)
        patch.setattr(learn, "SAY_EVERY", 5)
        with pytest.raises(Killed):
            run(stop_after_ten)
        assert (tmp_path / "work" / "checkpoint.pt").exists() and not (tmp_path / "out").exists()
        name = run(told.append)
    assert any(line.startswith("接着第") for line in told)
    made = Runtime.load(tmp_path / "out")
    assert made.name == name
    assert len(made.judge([Item(text="云桥金融跑路", entities=("云桥金融",))])) == 1
    told_of = json.loads((tmp_path / "out" / "card.json").read_text("utf-8"))
    assert told_of["data_sha256"]["authored_posts.jsonl"] == digest(data / "authored_posts.jsonl")
    assert told_of["base_sha256"] == digest(base / "model.safetensors")
    assert set(told_of["scores"]) == {"yujing", "encoder", "n-grams", "lexicon"}
    assert run(told.append) == name, "done work is not done again and gives the same model"
    with pytest.raises(ConfigError, match="另一次训练"):
        chosen["encoder"] |= {"seed": 99}
        run(told.append)
