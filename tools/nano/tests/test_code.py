"""The small functions: their code runs, holes fit, and no question has two answers."""

import ast
import json
import re
import shutil
import subprocess
import time
import unittest
from collections import defaultdict
from pathlib import Path
from random import Random

from nano.tasks.code import code, fill_in_the_middle
from nano.tasks.function_piece import Piece
from nano.tasks.functions import FAMILIES

ROOT = Path(__file__).resolve().parents[3]
COUNT = 4000
LITERALS = {"true": True, "false": False, "null": None}
FENCED = re.compile(r"```(python|typescript|javascript)\n(.*)\n```", re.DOTALL)

# Reads [{source, checks}] from its standard input; writes one line per complaint.
NODE = """
const ts = require("typescript");
const jobs = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
for (const { source, name, checks } of jobs) {
  const file = ts.createSourceFile("a.ts", source, ts.ScriptTarget.ES2022, true);
  for (const problem of file.parseDiagnostics) {
    console.log(JSON.stringify([source, problem.messageText]));
  }
  if (checks.length === 0) continue;
  const options = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
  const script = ts.transpileModule(source, { compilerOptions: options }).outputText;
  for (const [call, wanted] of checks) {
    try {
      const f = new Function("require", "exports", script + "; return " + name)(require, {});
      const got = JSON.stringify(new Function("f", "return " + call)(f));
      const right = JSON.stringify(new Function("return " + wanted)());
      if (got !== right) console.log(JSON.stringify([source, call, got, right]));
    } catch (error) {
      console.log(JSON.stringify([source, call, String(error)]));
    }
  }
}
"""


def typescript_complaints(jobs: list[dict]) -> str | None:
    """What the project's TypeScript finds wrong, or None where it is not installed."""
    if not shutil.which("node") or not (ROOT / "node_modules/typescript").is_dir():
        return None
    run = subprocess.run(
        ["node", "-e", NODE], input=json.dumps(jobs), capture_output=True, text=True, cwd=ROOT, check=True
    )
    return run.stdout


class FamilyTest(unittest.TestCase):
    """Every family computes what it says."""

    maxDiff = None

    def pieces(self, programming: str) -> list[tuple[Piece, list[list[str]]]]:
        rng = Random(5)
        found = []
        for family in FAMILIES:
            if programming not in family.bodies:
                continue
            for style in ("any", "telling", "first"):
                piece = Piece(rng, family, programming, style)
                values = piece.values
                checks = [
                    re.sub(r"@([kmw])", lambda mark: values[mark[1]], check).split(" => ") for check in family.checks
                ]
                found.append((piece, checks))
        return found

    def test_python(self) -> None:
        for piece, checks in self.pieces("python"):
            space = {**LITERALS}
            source = piece.family.imports["python"] + "\n" + piece.text
            exec(compile(ast.parse(source), "function", "exec"), space)
            space["f"] = space[piece.values["f"]]
            for call, wanted in checks:
                got, right = eval(call, dict(space)), eval(wanted, dict(space))
                self.assertEqual((type(got), got), (type(right), right), source)

    def test_typescript(self) -> None:
        jobs = [
            {
                "source": piece.family.imports["typescript"] + "\n" + piece.text,
                "name": piece.values["f"],
                "checks": checks,
            }
            for piece, checks in self.pieces("typescript")
        ]
        complaints = typescript_complaints(jobs)
        if complaints is None:
            self.skipTest("no TypeScript here")
        self.assertEqual(complaints, "")

    def test_enough_families_with_names_of_their_own(self) -> None:
        self.assertGreaterEqual(len(FAMILIES), 60)
        owners = defaultdict(set)
        for number, family in enumerate(FAMILIES):
            if not family.constants and not family.is_class:
                for name in family.names[:3]:
                    owners[name].add(number)
        self.assertEqual({name: who for name, who in owners.items() if len(who) > 1}, {})

    def test_wordings_tell_families_apart(self) -> None:
        for language in ("en", "zh"):
            owners = defaultdict(set)
            marked = {mark: f"<{mark}>" for mark in "abcdkmw"}
            for number, family in enumerate(FAMILIES):
                for wording in [*family.wordings[language], *family.plain[language]]:
                    kinds = tuple(kind for _, kind in family.params)
                    owners[wording.order.fill(marked)].add((number, kinds))
            self.assertEqual({text: who for text, who in owners.items() if len(who) > 1}, {})


class CodeTest(unittest.TestCase):
    """Questions in the chat."""

    def test_answers_parse_and_follow_from_the_question(self) -> None:
        jobs = []
        for language in ("en", "zh"):
            rng, answers, heads = Random(11), defaultdict(set), set()
            for _ in range(COUNT):
                example = code(rng, language)
                answers[example.question.lower()].add(example.answer.lower())
                question = example.messages[0][1]
                heads.add(question[:12].lower())
                self.assertLess(len(example.reasoning) + len(example.answer), 900)
                fenced = FENCED.fullmatch(example.answer)
                if not fenced:
                    self.assertRegex(example.answer, r"^(The result is `.+`\.|结果是 `.+`。)$")
                    self.check_expression(question, example.answer)
                    continue
                last = re.findall(r"`(.+)`", example.reasoning.split("\n")[-1])[0]
                self.assertTrue(last in example.answer or last.removeprefix("return ") in example.answer)
                if fenced[1] == "python":
                    ast.parse(fenced[2])
                else:
                    jobs.append({"source": fenced[2], "name": "", "checks": []})
            self.assertEqual([text for text, found in answers.items() if len(found) > 1], [])
            self.assertGreater(len(answers), COUNT * 0.9)
            self.assertGreater(len(heads), 150)
        complaints = typescript_complaints(jobs)
        if complaints is not None:
            self.assertEqual(complaints, "")

    def check_expression(self, question: str, answer: str) -> None:
        """Evaluates a Python expression that stands in backticks."""
        asked = re.findall(r"`(.+)`", question)
        if asked and re.search(r"python", question, re.IGNORECASE):
            right = eval(asked[0])
            shown = f'"{right}"' if isinstance(right, str) else str(right)
            self.assertIn(f"`{shown}`", answer)

    def test_speed(self) -> None:
        rng, start = Random(1), time.perf_counter()
        for _ in range(COUNT):
            code(rng, "en")
        self.assertLess((time.perf_counter() - start) / COUNT, 400e-6)


class HoleTest(unittest.TestCase):
    """Code with a hole."""

    def test_filled_holes_parse(self) -> None:
        jobs = []
        for language in ("en", "zh"):
            rng, answers = Random(12), defaultdict(set)
            for _ in range(COUNT):
                example = fill_in_the_middle(rng, language)
                answers[example.question].add(example.answer)
                source = example.prefix + example.answer + example.suffix
                self.assertEqual(example.answer, example.answer.strip())
                self.assertTrue(example.answer)
                self.assertLess(len(example.answer), 220)
                if example.language == "python":
                    ast.parse(source)
                else:
                    jobs.append({"source": source, "name": "", "checks": []})
            self.assertEqual([text for text, found in answers.items() if len(found) > 1], [])
            self.assertGreater(len(answers), COUNT * 0.9)
        complaints = typescript_complaints(jobs)
        if complaints is not None:
            self.assertEqual(complaints, "")

    def test_speed(self) -> None:
        rng, start = Random(1), time.perf_counter()
        for _ in range(COUNT):
            fill_in_the_middle(rng, "zh")
        self.assertLess((time.perf_counter() - start) / COUNT, 400e-6)


if __name__ == "__main__":
    unittest.main()
