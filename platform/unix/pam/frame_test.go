//go:build linux

package pam_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"kpm/platform/unix/pam"
)

func TestFrames(t *testing.T) {
	want := pam.Message{Kind: pam.Done, Text: "pam_open_session: no", Code: 14, Environment: []string{"A=1"}, Limits: []pam.Limit{{7, 1, 1<<64 - 1}}}
	var wire bytes.Buffer
	must(t, pam.Send(&wire, want))
	must(t, pam.Send(&wire, pam.Answer{Text: []byte("\xff a\"b\n")}))
	var got pam.Message
	var answer pam.Answer
	must(t, pam.Receive(&wire, &got))
	must(t, pam.Receive(&wire, &answer))
	if !reflect.DeepEqual(got, want) || string(answer.Text) != "\xff a\"b\n" {
		t.Errorf("%+v, %q", got, answer.Text)
	}
	if err := pam.Send(&wire, pam.Answer{Text: []byte(strings.Repeat("x", 64<<10))}); err == nil {
		t.Error("a frame of more than 64 KiB was sent")
	}
}

// Whatever keeperpam says, if something else speaks for it, is a message or an
// error.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\x00\x00\x00\x10{\"Kind\":\"prompt\""))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m pam.Message
		if err := pam.Receive(bytes.NewReader(data), &m); err != nil {
			return
		}
		var again bytes.Buffer
		if pam.Send(&again, m) == nil && pam.Receive(&again, &m) != nil {
			t.Error("what was understood is not understood again")
		}
	})
}
