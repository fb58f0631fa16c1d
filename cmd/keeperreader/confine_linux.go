package main

import (
	"kpm/core/port"
	"kpm/platform/linux/confined"
)

func confine(serve func(port.Confinement) error) { confined.Main(serve) }
