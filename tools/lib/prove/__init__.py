"""The proof: the tests that show a promise are run, and one page holds their figures against the bars."""
