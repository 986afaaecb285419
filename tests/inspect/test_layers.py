from fast_style.inspect import layer_table, load_network


def test_vgg19_has_the_known_sizes() -> None:
    rows = {row.name: row for row in layer_table(load_network("caffe-vgg19"))}
    assert list(rows)[:3] == ["conv1_1", "relu1_1", "conv1_2"]
    assert rows["conv4_1"].shape == (512, 28, 28)
    assert rows["conv4_1"].parameters == 256 * 512 * 9 + 512


def test_a_classifier_ends_with_its_classes() -> None:
    table = layer_table(load_network("efficientnet-lite0"))
    assert table[-1].shape == (1000,)
    assert table[-1].parameters == 1281 * 1000
