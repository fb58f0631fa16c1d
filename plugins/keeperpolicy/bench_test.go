package keeperpolicy

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core/wire"
	"kpm/platform/files"
	"kpm/plugins/sdk"
)

// encoder stands for the connection: it encodes the answer and drops it.
type encoder struct{ b *testing.B }

func (e encoder) Reply(question wire.RequestMessage, messageType string, payload any) error {
	m, err := wire.New(messageType, wire.PolicyPlugin, payload)
	if err != nil {
		return err
	}
	m.CorrelationID = question.MessageID
	if _, err := m.Encode(); err != nil {
		e.b.Error(err)
	}
	return nil
}

// BenchmarkServe is everything between reading a question from the socket and
// writing its answer, and the log record afterwards.
func BenchmarkServe(b *testing.B) {
	root := b.TempDir()
	if err := os.Mkdir(filepath.Join(root, "Policies"), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "Policies", "a.json"), []byte(policyJSON("a", "ALLOW", "/usr/bin/id")), 0o644); err != nil {
		b.Fatal(err)
	}
	e := &engine{cfg: Config{Root: root, Open: opens(root)}, log: slog.New(slog.DiscardHandler), now: time.Now, around: newSurroundings()}
	if !e.load(false) {
		b.Fatal("no policies")
	}
	q, err := wire.New(wire.TypePolicyRequest, "KeeperPrivilegeManager", wire.PolicyRequest{
		RequestID: "REQ", SealDigest: "SEAL", EventType: wire.EventPrivilegeElevation, UserID: "1000", UserName: "alice",
		MachineName: "web1", FilePath: "/usr/bin/id", RequestedPath: "id", Arguments: []string{"id", "-u"},
	})
	if err != nil {
		b.Fatal(err)
	}
	q.ReplyTopic = "Replies/KeeperPrivilegeManager/REQ"
	payload, err := q.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.serve(encoder{b}, sdk.Message{Topic: wire.TopicPolicy, Payload: payload})
	}
}

// opens opens folders of this machine.
func opens(root string) func(string) (Folder, error) {
	return func(path string) (Folder, error) { return files.Open(root, path) }
}

// BenchmarkLoad reads as many policy files as there may be, one policy each.
func BenchmarkLoad(b *testing.B) {
	root := b.TempDir()
	if err := os.Mkdir(filepath.Join(root, "Policies"), 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range maxFiles {
		id := fmt.Sprint("p", i)
		if err := os.WriteFile(filepath.Join(root, "Policies", id+".json"), []byte(policyJSON(id, "ALLOW", "/usr/bin/"+id)), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	e := &engine{cfg: Config{Root: root, Open: opens(root)}, log: slog.New(slog.DiscardHandler), now: time.Now, around: newSurroundings()}
	for b.Loop() {
		if !e.load(false) {
			b.Fatal("no policies")
		}
	}
}

// BenchmarkLoadArrays reads 100,000 policies as a backend sends them, in ten files.
func BenchmarkLoadArrays(b *testing.B) {
	root := b.TempDir()
	if err := os.Mkdir(filepath.Join(root, "Policies"), 0o755); err != nil {
		b.Fatal(err)
	}
	for file := range 10 {
		list := make([]string, 10_000)
		for i := range list {
			id := fmt.Sprintf("p%d-%d", file, i)
			list[i] = policyJSON(id, "ALLOW", "/usr/bin/"+id)
		}
		text := "[" + strings.Join(list, ",\n") + "]"
		if err := os.WriteFile(filepath.Join(root, "Policies", fmt.Sprint(file, ".json")), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	e := &engine{cfg: Config{Root: root, Open: opens(root)}, log: slog.New(slog.DiscardHandler), now: time.Now, around: newSurroundings()}
	for b.Loop() {
		if !e.load(false) {
			b.Fatal("no policies")
		}
	}
}
