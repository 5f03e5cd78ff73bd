import torch
from torch import nn

from tests.rules.loop.pieces import LABELS, ROWS, answer, epoch, loader, net, sgd, step
from tests.support import answers, findings, observed


def test_a_validation_that_leaves_the_model_in_evaluation_mode_is_found(tmp_path):
    def program():
        model, train, held = net(dropout=0.5, norm=True), loader(), loader(12)
        optimizer = sgd(model)
        model.train()
        for _ in range(3):
            epoch(model, optimizer, train)
            model.eval()
            answer(model, held)

    (finding,) = findings("N03", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "model.eval()"
    assert "8 of 12 optimizer steps, since step 5, after it had learnt in training" in finding.text
    assert "all 2 of its dropout and batch-norm modules" in finding.text


def test_a_model_that_never_trains_in_training_mode_is_found_without_a_loader(tmp_path):
    def program():
        model = net(norm=True)
        model.eval()
        with torch.no_grad():
            model(ROWS[:1])
        optimizer = sgd(model)
        for _ in range(4):
            step(model, optimizer)

    (finding,) = findings("N03", observed(program, tmp_path / "run.dx"))
    assert "4 of 4 optimizer steps, and was never in training mode" in finding.text
    assert finding.line.text == "model.eval()"


def test_train_called_in_every_epoch_is_silent(tmp_path):
    def program():
        model, train, held = net(dropout=0.5, norm=True), loader(), loader(12)
        optimizer = sgd(model)
        for _ in range(3):
            model.train()
            epoch(model, optimizer, train)
            model.eval()
            answer(model, held)

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []


def test_batch_norms_kept_in_evaluation_mode_within_a_training_model_are_silent(tmp_path):
    def program():
        model = net(norm=True)
        optimizer = sgd(model)
        model.train()
        model[2].eval()
        for _ in range(5):
            step(model, optimizer)

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []


def test_a_frozen_backbone_in_evaluation_mode_is_silent_whether_called_alone_or_within(tmp_path):
    def program():
        backbone, head = net(dropout=0.5, norm=True)[:4], nn.Linear(8, 2)
        backbone.requires_grad_(requires_grad=False)
        backbone.eval()
        optimizer = sgd(head)
        for _ in range(4):
            nn.functional.cross_entropy(head(backbone(ROWS)), LABELS).backward()
            optimizer.step()
        model = nn.Sequential(backbone, head)
        model.eval()
        for _ in range(4):
            step(model, optimizer)

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []


def test_an_unfrozen_backbone_beside_a_head_in_training_mode_is_meant(tmp_path):
    def program():
        backbone, head = net(norm=True)[:3], nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 2))
        backbone.eval()
        optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1)
        for _ in range(5):
            nn.functional.cross_entropy(head(backbone(ROWS)), LABELS).backward()
            optimizer.step()

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []


def test_adversarial_rows_made_in_evaluation_mode_are_silent(tmp_path):
    def program():
        model = net(dropout=0.5)
        optimizer = sgd(model)
        for _ in range(6):
            model.eval()
            x = ROWS.clone().requires_grad_()
            nn.functional.cross_entropy(model(x), LABELS).backward()
            model.train()
            step(model, optimizer, (x + 0.1 * x.grad.sign()).detach())

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []


def test_a_teacher_in_evaluation_mode_is_not_the_one_that_learns(tmp_path):
    def program():
        teacher, student = net(dropout=0.5).eval(), net(dropout=0.5)
        optimizer = sgd(student)
        for _ in range(2):
            for x, y in loader():
                with torch.no_grad():
                    soft = teacher(x).softmax(1)
                loss = nn.functional.cross_entropy(student(x), soft)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                assert y is not None

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []


def test_a_model_without_dropout_or_batch_norm_has_no_mode_to_be_wrong(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        model.eval()
        for _ in range(5):
            step(model, optimizer)

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []


def test_two_steps_are_too_few(tmp_path):
    def program():
        model = net(dropout=0.5)
        optimizer = sgd(model)
        model.eval()
        for _ in range(2):
            step(model, optimizer)

    assert answers("N03", observed(program, tmp_path / "run.dx")) == []
