"""Run with: /usr/bin/python3 -m unittest test_@NAME@.py"""
import importlib.util
import pathlib
import unittest

spec = importlib.util.spec_from_file_location("plugin", pathlib.Path(__file__).with_name("@NAME@.py"))
plugin = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plugin)


class Answers(unittest.TestCase):
    def test_in_capitals(self):
        self.assertEqual(plugin.answer("all well?"), "hello ALL WELL?")


if __name__ == "__main__":
    unittest.main()
