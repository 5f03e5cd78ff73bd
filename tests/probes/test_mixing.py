import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.probes.subjects import Lambda, subject
from torchdx.probes.mixing import mixing
from torchdx.probes.subject import Unmeasured

ROWS, TIME, SIZE, HIDDEN = 10, 5, 6, 8


def sequences(seed=0, *, rows=ROWS, time=TIME):
    return torch.randn(rows, time, SIZE, generator=torch.Generator().manual_seed(seed))


def model(forward, **options):
    torch.manual_seed(0)
    directions = 2 if options.get("bidirectional") else 1
    return Lambda(
        forward,
        read=nn.LSTM(SIZE, HIDDEN, **options),
        last=nn.Linear(directions * HIDDEN, 3),
        flat=nn.Linear(TIME * HIDDEN, 3),
        words=nn.Embedding(20, SIZE),
        norm=nn.BatchNorm1d(SIZE),
    )


def found(forward, given, **options):
    return mixing(subject(model(forward, **options), given, loss=None))


def last_state(self, x):
    return self.last(self.read(x)[0][:, -1])


def last_state_of_time_first(self, x):
    return self.last(self.read(x)[0][-1])


def every_word(self, x):
    return self.last(self.read(self.words(x))[0])


def permuted(self, x):
    return self.flat(self.read(x.transpose(0, 1))[0].transpose(0, 1).reshape(len(x), -1))


def normed(self, x):
    return self.last(F.pad(self.norm(x[:, 0]), (0, 2)))


def windows(self, x):
    return self.last(self.read(x.reshape(-1, 1, SIZE))[0].view(ROWS, TIME, -1)[:, -1])


INTEGERS = torch.arange(50).view(5, 10) % 20


@pytest.mark.parametrize(
    ("forward", "given", "options"),
    [
        (last_state, sequences(), {"batch_first": True}),
        (last_state_of_time_first, sequences().transpose(0, 1), {}),
        (every_word, INTEGERS, {}),
        (every_word, INTEGERS, {"batch_first": True}),
        (permuted, sequences(), {}),
        (permuted, sequences(rows=TIME), {}),
        (normed, sequences(), {}),
        (windows, sequences(), {"batch_first": True}),
    ],
)
def test_rows_that_are_answered_one_by_one_do_not_mix(forward, given, options):
    measured = found(forward, given, **options)
    assert not measured.mixed
    assert measured.difference < 1e-5


def viewed(self, x):
    return self.last(self.read(x.view(TIME, ROWS, SIZE))[0][-1])


def viewed_where_time_is_a_multiple(self, x):
    return self.last(self.read(x.reshape(4 * ROWS, ROWS, SIZE))[0][-1])


def states_flattened(self, x):
    return self.flat(self.read(x.transpose(0, 1))[0].view(len(x), -1))


def directions_flattened(self, x):
    return self.last(self.read(x)[1][0].view(len(x), -1))


@pytest.mark.parametrize(
    ("forward", "given", "options", "before", "after"),
    [
        (viewed, sequences(), {}, (10, 5, 6), (5, 10, 6)),
        (viewed_where_time_is_a_multiple, sequences(time=40), {}, (10, 40, 6), (40, 10, 6)),
        (states_flattened, sequences(), {}, (5, 10, 8), (10, 40)),
        (states_flattened, sequences(rows=TIME), {}, (5, 5, 8), (5, 40)),
        (
            directions_flattened,
            sequences(),
            {"bidirectional": True, "batch_first": True},
            (2, 10, 8),
            (10, 16),
        ),
    ],
)
def test_a_view_in_place_of_a_permutation_is_where_rows_meet(
    forward, given, options, before, after
):
    measured = found(forward, given, **options)
    assert measured.mixed
    assert (measured.layout.before, measured.layout.after) == (before, after)
    assert measured.layout.place.file == __file__
    assert measured.layout.place.line == forward.__code__.co_firstlineno + 1


def test_a_recurrence_along_the_rows_is_told():
    measured = found(last_state, sequences())
    assert measured.mixed
    assert measured.along
    assert (measured.function, measured.path, measured.layout) == ("lstm", "read", None)


def test_attention_along_the_rows_is_told():
    layer = nn.TransformerEncoderLayer(SIZE, 2, 8)
    net = Lambda(lambda self, x: self.net(x)[:, 0], net=layer)
    measured = mixing(subject(net, sequences(), loss=None))
    assert measured.along
    assert measured.path == "net.self_attn"


def one_long_sequence(self, x):
    return self.last(self.read(x.view(len(x), 1, -1))[0].view(len(x), -1))


def over_the_batch(self, x):
    return self.last(F.pad(F.scaled_dot_product_attention(x[None], x[None], x[None])[0], (0, 2)))


def along_a_graph(self, x):
    return self.last(F.pad(torch.eye(len(x)).roll(1, 0) @ x, (0, 2)))


def in_bags(self, x):
    return self.last(F.pad(x.view(-1, 2, SIZE).softmax(1).view(-1, SIZE), (0, 2)))


def less_its_mean(self, x):
    return self.last(F.pad(x - x.mean(0), (0, 2)))


@pytest.mark.parametrize(
    "forward", [one_long_sequence, over_the_batch, along_a_graph, in_bags, less_its_mean]
)
def test_rows_that_are_meant_to_meet_have_no_torn_layout(forward):
    measured = found(forward, sequences()[:, 0])
    assert measured.mixed
    assert measured.layout is None
    assert not measured.along


def test_a_batch_of_one_row_and_answers_without_rows_are_not_measured():
    assert isinstance(found(last_state, sequences(rows=1), batch_first=True), Unmeasured)
    summed = Lambda(lambda self, x: self.net(x).sum(), net=nn.Linear(SIZE, 3))
    assert isinstance(mixing(subject(summed, sequences(), loss=None)), Unmeasured)


def test_a_square_mask_beside_the_rows_is_not_guessed_at():
    net = Lambda(lambda self, x, mask: self.net(mask @ x), net=nn.Linear(SIZE, 3))
    measured = mixing(subject(net, sequences()[:, 0], torch.eye(ROWS), loss=None))
    assert "several axes" in measured.because


def test_rows_in_order_of_their_lengths_stay_so():
    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return self.last(self.read(packed)[1][0][-1])

    lengths = torch.tensor([5, 5, 4, 4, 4, 3, 3, 2, 2, 1])
    measured = mixing(subject(model(forward, batch_first=True), sequences(), lengths, loss=None))
    assert not isinstance(measured, Unmeasured), measured
    assert not measured.mixed
