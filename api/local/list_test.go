package local_test

import (
	"context"
	"os"
	"testing"

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
	c.send(t, door.TypeList, door.List{JSON: true}.Encode())
	kind, body, _ := c.receive(t)
	listing, err := door.DecodeListing(body)
	if kind != door.TypeListing || err != nil || listing.Text != "you may\n" {
		t.Errorf("%d %q %v", kind, listing.Text, err)
	}
	if !got.List || !got.JSON || got.Peer.User != "1000" || got.Dir != nil || got.Command != "" {
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
