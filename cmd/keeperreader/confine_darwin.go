package main

import (
	"kpm/core/port"
	"kpm/platform/darwin/confined"
	"kpm/platform/darwin/libsystem"
)

func confine(serve func(port.Confinement) error) {
	confined.Main(serve, func() (confined.System, error) { return libsystem.Bound() })
}
