package door_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"kpm/core/door"
	"kpm/core/signal"
)

func requests() map[string]door.Request {
	return map[string]door.Request{
		"bare name": {Command: "id", Argv: []string{"id"}, Env: []string{}},
		"everything": {
			Key: door.Key{1, 15: 0xff}, Running: true, Anew: true, Desktop: true, FileAccess: true, List: true, JSON: true, HasExecutable: true, NonInteractive: true, Command: "/usr/bin/env", TargetUser: "#65534",
			Argv: []string{"env", "", "two words", "-x=\x00\xff"}, Env: []string{"TERM=xterm", "LANG=C.UTF-8"},
			Rows: 24, Columns: 80, Terminal: true, Background: true, Apart: [3]uint8{1, 0, 2}, For: 1800,
		},
		"extremes":   {Command: "x", Argv: make([]string, 1000), Env: []string{}, Rows: math.MaxUint16, Columns: math.MaxUint16},
		"no strings": {Argv: []string{}, Env: []string{}},
	}
}

func TestRequestRoundTrip(t *testing.T) {
	for name, want := range requests() {
		got, err := door.DecodeRequest(want.Encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestEveryOtherBodyRoundTrips(t *testing.T) {
	for _, prompt := range []door.Prompt{{Text: "Why? ", TimeoutSeconds: 120}, {Text: "Code: ", TimeoutSeconds: 1, Secret: true}} {
		if got, err := door.DecodePrompt(prompt.Encode()); err != nil || got != prompt {
			t.Errorf("prompt: %+v, %v", got, err)
		}
	}
	for _, memory := range []door.Memory{{Do: door.Validate, NonInteractive: true}, {Do: door.Forget}, {Do: door.ForgetAll}} {
		if got, err := door.DecodeMemory(memory.Encode()); err != nil || got != memory {
			t.Errorf("memory: %+v, %v", got, err)
		}
	}
	for _, answer := range []door.Answer{{Text: "because"}, {Cancelled: true}} {
		if got, err := door.DecodeAnswer(answer.Encode()); err != nil || got != answer {
			t.Errorf("answer: %+v, %v", got, err)
		}
	}
	notice := door.Notice{Text: "It is remembered for 10m."}
	if got, err := door.DecodeNotice(notice.Encode()); err != nil || got != notice {
		t.Errorf("notice: %+v, %v", got, err)
	}
	exit := door.Exit{Code: math.MaxUint32, Signal: 9}
	if got, err := door.DecodeExit(exit.Encode()); err != nil || got != exit {
		t.Errorf("exit: %+v, %v", got, err)
	}
	refused := door.Refused{Code: door.CodeDenied, Message: "no policy allows it"}
	if got, err := door.DecodeRefused(refused.Encode()); err != nil || got != refused {
		t.Errorf("refused: %+v, %v", got, err)
	}
	sent := signal.Sent{Signal: signal.Quit, By: 1 << 22}
	if got, err := door.DecodeSignal(door.EncodeSignal(sent)); err != nil || got != sent {
		t.Errorf("signal: %+v, %v", got, err)
	}
}

func TestDecodersRefuse(t *testing.T) {
	request := requests()["everything"].Encode()
	with := func(at int, b byte) []byte {
		changed := bytes.Clone(request)
		changed[at] = b
		return changed
	}
	for name, body := range map[string][]byte{
		"nothing":          {},
		"another version":  with(0, door.Version+1),
		"an unknown flag":  with(1, 64),
		"another flag":     with(2, 32),
		"no key after all": append(append(bytes.Clone(request[:3]), make([]byte, 16)...), request[19:]...),
		"a fourth number":  with(19, 64),
		"a byte too few":   request[:len(request)-1],
		"a byte too many":  append(bytes.Clone(request), 0),
		"a huge string":    with(24, 0xff),
		"a huge list":      append(bytes.Clone(request[:24]), 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
		"16385 list items": append(append(bytes.Clone(request[:24]), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1), make([]byte, 4*16385+4)...),
	} {
		if _, err := door.DecodeRequest(body); !errors.Is(err, door.ErrFrame) {
			t.Errorf("%s: error %v, want ErrFrame", name, err)
		}
	}
	decoders := map[string]func([]byte) error{
		"prompt":  func(b []byte) error { _, err := door.DecodePrompt(b); return err },
		"answer":  func(b []byte) error { _, err := door.DecodeAnswer(b); return err },
		"exit":    func(b []byte) error { _, err := door.DecodeExit(b); return err },
		"refused": func(b []byte) error { _, err := door.DecodeRefused(b); return err },
		"signal":  func(b []byte) error { _, err := door.DecodeSignal(b); return err },
		"memory":  func(b []byte) error { _, err := door.DecodeMemory(b); return err },
	}
	for name, decode := range decoders {
		for _, body := range [][]byte{nil, {1}, make([]byte, 64)} {
			if err := decode(body); !errors.Is(err, door.ErrFrame) {
				t.Errorf("%s of %d bytes: error %v, want ErrFrame", name, len(body), err)
			}
		}
	}
}

func TestFrameRoundTrip(t *testing.T) {
	stream := door.Append(nil, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Terminate}))
	stream = door.Append(stream, door.TypeStarted, nil)
	stream = door.Append(stream, door.TypeRefused, make([]byte, door.MaxFrame))
	r := bytes.NewReader(stream)
	for _, want := range []struct {
		kind door.Type
		size int
	}{{door.TypeSignal, 8}, {door.TypeStarted, 0}, {door.TypeRefused, door.MaxFrame}} {
		kind, body, err := door.Read(r)
		if err != nil || kind != want.kind || len(body) != want.size {
			t.Fatalf("read type %d, %d bytes, %v; want type %d, %d bytes", kind, len(body), err, want.kind, want.size)
		}
	}
	if _, _, err := door.Read(r); err != io.EOF {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

func TestFramesCutShort(t *testing.T) {
	whole := door.Append(nil, door.TypeAnswer, door.Answer{Text: "because"}.Encode())
	for n := 1; n < len(whole); n++ {
		if _, _, err := door.Read(bytes.NewReader(whole[:n])); err != io.ErrUnexpectedEOF {
			t.Errorf("%d of %d bytes: %v, want io.ErrUnexpectedEOF", n, len(whole), err)
		}
	}
	tooLong := append([]byte{byte(door.TypeRequest)}, 0, 3, 0, 1) // MaxFrame + 1
	if _, _, err := door.Read(bytes.NewReader(tooLong)); !errors.Is(err, door.ErrFrame) {
		t.Errorf("a frame of MaxFrame+1 bytes: %v, want ErrFrame", err)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A few hostile bytes must not buy a lot of memory.
func TestHostileLengthsAllocateLittle(t *testing.T) {
	const slack = 16 << 10 // what the runtime itself may allocate meanwhile
	header := []byte{byte(door.TypeRequest), 0xff, 0xff, 0xff, 0xff}
	if n := allocated(func() { door.Read(bytes.NewReader(header)) }); n > slack {
		t.Errorf("a frame that claims 4 GiB allocates %d bytes", n)
	}
	list := append([]byte{door.Version, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0xff)
	if n := allocated(func() { door.DecodeRequest(list) }); n > slack {
		t.Errorf("a list that claims 16383 strings allocates %d bytes", n)
	}
	largest := door.Request{Argv: []string{strings.Repeat("x", door.MaxFrame-64)}}.Encode()
	frame := door.Append(nil, door.TypeRequest, largest)
	if n := allocated(func() {
		_, body, err := door.Read(bytes.NewReader(frame))
		if err != nil {
			t.Error(err)
		}
		if _, err := door.DecodeRequest(body); err != nil {
			t.Error(err)
		}
	}); n > 2*door.MaxFrame+slack {
		t.Errorf("the largest request allocates %d bytes", n)
	}
}

func FuzzDoorRequest(f *testing.F) {
	for _, request := range requests() {
		f.Add(request.Encode())
	}
	f.Add([]byte{})
	f.Add([]byte{door.Version, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := door.DecodeRequest(body)
		if err != nil {
			if !errors.Is(err, door.ErrFrame) {
				t.Errorf("error %v does not wrap ErrFrame", err)
			}
			return
		}
		// What is accepted has one encoding only: nothing is ignored.
		if !bytes.Equal(request.Encode(), body) {
			t.Errorf("%x decodes to %+v, which encodes to %x", body, request, request.Encode())
		}
	})
}

func FuzzDoorStream(f *testing.F) {
	f.Add(door.Append(nil, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Interrupt})))
	f.Add(door.Append(nil, door.TypeAnswer, door.Answer{Text: "because"}.Encode()))
	f.Add(door.Append(nil, door.TypeExit, door.Exit{Code: 1}.Encode()))
	f.Add([]byte{1, 0, 3, 0, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		for {
			_, body, err := door.Read(r)
			if err != nil {
				return
			}
			door.DecodeAnswer(body)
			door.DecodeExit(body)
			door.DecodePrompt(body)
			door.DecodeRefused(body)
			door.DecodeSignal(body)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	request := requests()["everything"]
	for b.Loop() {
		frame := door.Append(nil, door.TypeRequest, request.Encode())
		_, body, err := door.Read(bytes.NewReader(frame))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := door.DecodeRequest(body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAMemoryFrameThatCannotBeUnderstood(t *testing.T) {
	for name, body := range map[string][]byte{
		"another version": {door.Version + 1, 1, 0}, "no action": {door.Version, 0, 0}, "an unknown action": {door.Version, 4, 0},
		"an unknown flag": {door.Version, 1, 2}, "more": {door.Version, 1, 0, 0},
	} {
		if _, err := door.DecodeMemory(body); !errors.Is(err, door.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	prompt := door.Prompt{Text: "Code: "}.Encode()
	prompt[4] = 2
	if _, err := door.DecodePrompt(prompt); !errors.Is(err, door.ErrFrame) {
		t.Errorf("a prompt with an unknown flag: %v", err)
	}
}
