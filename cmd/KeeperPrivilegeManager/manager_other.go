//go:build !windows

package main

import "github.com/spf13/cobra"

// manager returns no commands: the machine's service manager needs none.
func manager(*string) []*cobra.Command { return nil }
