"""The verdict: is the first candidate the work in the picture?"""
