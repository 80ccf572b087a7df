from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nlp.corpus import Example
from nlp.segment import Segmenter, own_folder


def test_the_trades_words_and_the_brands_stay_whole(segmenter: Segmenter) -> None:
    assert segmenter.tokens("云桥金融提现困难,已逾期3天!") == [
        "云桥金融",
        "提现困难",
        "已",
        "逾期",
        "3",
        "天",
    ]


def test_an_index_gets_compounds_in_pieces_and_guesses_in_characters(segmenter: Segmenter) -> None:
    assert segmenter.parted("云桥金融提现困难，李兆民卷款跑路，714高炮，iPhone") == [
        "云 桥 金融",
        "提现 困难",
        "李 兆 民",
        "卷款 跑路",
        "714 高炮",
        "iphone",
    ]


@settings(max_examples=30)
@given(text=st.text(max_size=80))
def test_pieces_are_the_words(segmenter: Segmenter, text: str) -> None:
    assert [word.replace(" ", "") for word in segmenter.parted(text)] == segmenter.tokens(text)


def test_traditional_and_simplified_are_the_same_words(segmenter: Segmenter) -> None:
    assert segmenter.tokens("雲橋金融兌付逾期") == segmenter.tokens("云桥金融兑付逾期")


@settings(max_examples=30)
@given(text=st.text(max_size=80))
def test_places_point_at_the_words(segmenter: Segmenter, text: str) -> None:
    from nlp.clean import simplify

    plain = simplify(text)
    for word, place in segmenter.placed(text):
        assert plain[place : place + len(word)].lower() == word


def test_the_words_are_jiebas(segmenter: Segmenter, authored: list[Example]) -> None:
    theirs = segmenter._tokenizer
    for example in authored:
        text = example.text.lower() + "12.5%的a+b-c 喆喆龘龘\r\n。"
        cut = [word for word in theirs.cut(text, HMM=True) if any(c.isalnum() for c in word)]
        assert segmenter.tokens(text) == cut


@settings(max_examples=200)
@given(text=st.text("提现困难云桥金融的了逾期跑路不龘喆兑付0aZ.%-+ 。,\r\n", max_size=60))
def test_any_text_is_cut_as_by_jieba(segmenter: Segmenter, text: str) -> None:
    low = text.lower()
    cut = [word for word in segmenter._tokenizer.cut(low, HMM=True) if any(c.isalnum() for c in word)]
    assert segmenter.tokens(low) == cut


def test_jieba_is_silent_even_when_warnings_are_errors(tmp_path: Path) -> None:
    code = "from pathlib import Path; from nlp.segment import Segmenter; import sys\n"
    code += "print(Segmenter(cache=Path(sys.argv[1])).tokens('提现困难'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['提现困难']"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()), "the dictionary's cache goes where it was told to"


def test_the_cache_lies_where_nobody_else_can_write(tmp_path: Path) -> None:
    folder = own_folder(tmp_path)
    assert folder == own_folder(tmp_path) and not folder.stat().st_mode & 0o077
    folder.chmod(0o777)
    assert own_folder(tmp_path) != folder, "somebody else may have written there"
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert own_folder(tmp_path) != folder
