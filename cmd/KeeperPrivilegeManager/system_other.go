//go:build !darwin && !windows

package main

import "github.com/spf13/cobra"

// systemCommands are the commands that one system has.
func systemCommands(*string) []*cobra.Command { return nil }
