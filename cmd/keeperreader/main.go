//go:build linux

// Command keeperreader is started by the service to read the signatures of
// files that users chose, in a process without any privilege. It has no use of
// its own: without the service at descriptor 3 it ends at once.
package main

import (
	"time"

	"kpm/core/port"
	"kpm/platform/linux/confined"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
)

func main() {
	confined.Main(func(service port.Confinement) error {
		return reader.Serve(service, func(b *reader.Bundle, now func() time.Time) (reader.Judge, error) {
			return judge.New(b, now)
		})
	})
}
