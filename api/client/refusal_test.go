package client

import "testing"

// People are told the fault itself, where the service names one.
func TestWhatARefusalSays(t *testing.T) {
	for body, want := range map[string]string{
		`{"code":"conflict","detail":"it is used"}`:                                                                "it is used",
		`{"code":"bad-request","detail":"the body is wrong","errors":[{"pointer":"","detail":"it is no code"}]}`:   "it is no code",
		`{"code":"bad-request","detail":"the body is wrong","errors":[{"pointer":"/code","detail":"found none"}]}`: "the body is wrong; /code: found none",
	} {
		r, is := refused(400, []byte(body)).(*Refusal)
		if !is || r.Said() != want {
			t.Errorf("%s: %+v, want %q", body, r, want)
		}
	}
}
