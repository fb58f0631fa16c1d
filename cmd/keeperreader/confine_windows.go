package main

import (
	"kpm/core/port"
	"kpm/platform/windows/confined"
)

func confine(serve func(port.Confinement) error) { confined.Main(serve) }
