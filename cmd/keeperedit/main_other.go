//go:build !linux && !darwin

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "keeperedit is not for this system: edit a copy, and put it in place by keepersudo.")
	os.Exit(2)
}
