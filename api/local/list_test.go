package local_test

import (
	"context"
	"os"
	"testing"
	"time"

	"kpm/core/door"
	"kpm/core/signal"
	"kpm/launcher"
)

// Who asks what they may run is named by the kernel, and hands nothing over.
func TestAListingIsAskedFor(t *testing.T) {
	var got launcher.Submission
	q := newDoor(t, func(_ context.Context, k launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		got = k
		return launcher.Result{Listing: "you may\n"}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeList, door.List{JSON: true, User: "anna"}.Encode())
	kind, body, _ := c.receive(t)
	listing, err := door.DecodeListing(body)
	if kind != door.TypeListing || err != nil || listing.Text != "you may\n" {
		t.Errorf("%d %q %v", kind, listing.Text, err)
	}
	if !got.List || !got.JSON || got.ListFor != "anna" || got.Peer.User != "1000" || got.Dir != nil || got.Command != "" {
		t.Errorf("%+v", got)
	}
}

func TestAListingThatCannotBeUnderstood(t *testing.T) {
	q := newDoor(t, func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
		t.Error("it was asked for")
		return launcher.Result{}
	})
	for name, tc := range map[string]struct {
		body  []byte
		files []*os.File
	}{
		"another version": {[]byte{1, 0}, nil}, "an unknown flag": {[]byte{door.Version, 2}, nil}, "nothing": {nil, nil},
		"more": {append(door.List{}.Encode(), 0), nil}, "a file": {door.List{}.Encode(), belongings(t)[:1]},
	} {
		c := q.connect(t, somebody("1000"), nil)
		c.send(t, door.TypeList, tc.body, tc.files...)
		kind, body, _ := c.receive(t)
		refused, err := door.DecodeRefused(body)
		if kind != door.TypeRefused || err != nil || refused.Code != door.CodeBadRequest {
			t.Errorf("%s: %d %+v", name, kind, refused)
		}
	}
}

// The same goes for what is remembered; the answer may be that there is nothing to
// say.
func TestWhatIsRememberedIsAskedFor(t *testing.T) {
	var got launcher.Submission
	q := newDoor(t, func(ctx context.Context, k launcher.Submission, c launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		got = k
		if answer, err := c.Prompt(ctx, launcher.Prompt{Text: "Code: ", Secret: true}, time.Minute); err != nil || answer != "123456" {
			t.Errorf("%q, %v", answer, err)
		}
		return launcher.Result{Done: true}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeMemory, door.Memory{Do: door.Validate, NonInteractive: true}.Encode())
	kind, body, _ := c.receive(t)
	if prompt, err := door.DecodePrompt(body); kind != door.TypePrompt || err != nil || !prompt.Secret {
		t.Errorf("%d %+v %v", kind, prompt, err)
	}
	c.send(t, door.TypeAnswer, door.Answer{Text: "123456"}.Encode())
	kind, body, _ = c.receive(t)
	if listing, err := door.DecodeListing(body); kind != door.TypeListing || err != nil || listing.Text != "" {
		t.Errorf("%d %q %v", kind, listing.Text, err)
	}
	if got.Memory == nil || got.Memory.Do != door.Validate || !got.Memory.NonInteractive || got.List || got.Peer.User != "1000" {
		t.Errorf("%+v", got)
	}
}
