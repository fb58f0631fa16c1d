//go:build !linux

package main

import "errors"

// protectedRoot refuses every root where it cannot be checked yet.
func protectedRoot(string) error { return errors.ErrUnsupported }
