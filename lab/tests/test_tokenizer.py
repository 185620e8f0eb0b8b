from deer_lab.tokenizer import make_tokenizer

SENTENCES = ["open the drawer", "push the red block left"]


def test_how_a_sentence_is_written_makes_no_difference_where_it_is_forgiven():
    forgiving, strict = (make_tokenizer(300, SENTENCES, forgiving=forgiving) for forgiving in (True, False))
    asked = ("open the drawer", "Open the drawer.", "OPEN THE DRAWER!")
    assert len({tuple(forgiving.encode(text).ids) for text in asked}) == 1
    assert len({tuple(strict.encode(text).ids) for text in asked}) == 3
    assert forgiving.encode("<image>Open").tokens[0] == "<image>"
