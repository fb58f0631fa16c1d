package main

import "kpm/platform/windows/held"

func main() { held.Main() }
