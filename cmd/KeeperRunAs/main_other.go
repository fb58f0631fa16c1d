//go:build !windows

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "KeeperRunAs is for Windows. Here, use: keepersudo FILE ARGUMENT ...")
	os.Exit(2)
}
