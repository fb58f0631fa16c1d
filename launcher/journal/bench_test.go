package journal

import (
	"context"
	"fmt"
	"runtime/debug"
	"testing"

	"kpm/core"
)

func sample(i int) Record {
	return Record{
		Type: Opened, Request: core.RequestID(fmt.Sprintf("%026d", i)), UserID: "1000", User: "ada", TargetID: "0", Target: "root",
		Program: &core.Executable{Requested: "apt", Path: "/usr/bin/apt", SHA256: noHash, Protected: true},
		Argv:    []string{"apt", "install", "--yes", "hello"}, Directory: "/home/ada", Seal: noHash,
	}
}

func BenchmarkAppend(b *testing.B) {
	j, _ := opened(b, config(b.TempDir()))
	r := sample(1)
	r.Type = Control // not open: the set does not grow
	for b.Loop() {
		if err := j.Append(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSync(b *testing.B) {
	j, _ := opened(b, config(b.TempDir()))
	for b.Loop() {
		put(b, j, Record{Type: Control})
		if err := j.Sync(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGroupCommit(b *testing.B) {
	j, _ := opened(b, config(b.TempDir()))
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			put(b, j, Record{Type: Control})
			if err := j.Sync(context.Background()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n, " records"), func(b *testing.B) {
			cfg := config(b.TempDir())
			j, _, err := Open(cfg)
			if err != nil {
				b.Fatal(err)
			}
			for i := range n / 2 {
				put(b, j, sample(i), Record{Type: Ended, Request: sample(i).Request})
			}
			if err := j.Settle(); err != nil {
				b.Fatal(err)
			}
			crash(b, j)
			for b.Loop() {
				j, _, err := Open(cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				crash(b, j)
				b.StartTimer()
			}
		})
	}
}

// Of a million records the service keeps as many as fit into its segments; what is
// asked is how long the whole of them takes, with a heap that may grow as that of
// KeeperAdminCLI audit verify.
func BenchmarkVerify(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for _, n := range []int{20_000, 1_000_000} {
		b.Run(fmt.Sprint(n, " records"), func(b *testing.B) {
			cfg := config(b.TempDir())
			cfg.KeepSegments = 1024
			j, _ := opened(b, cfg)
			for i := range n / 2 {
				put(b, j, sample(i), Record{Type: Ended, Request: sample(i).Request})
			}
			for b.Loop() {
				if report := verified(b, cfg); report.Records < n {
					b.Fatalf("%d records, want %d", report.Records, n)
				}
			}
		})
	}
}
