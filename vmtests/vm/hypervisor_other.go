//go:build !linux

package main

import (
	"context"
	"errors"
)

func libvirtRuns(context.Context) bool { return false }

func withLibvirt(context.Context, options) error { return errors.ErrUnsupported }

func startLibvirt(context.Context, string) error { return errors.ErrUnsupported }
