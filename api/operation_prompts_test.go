package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// What a person is asked comes as it happens, and an answer goes back as what a dialog
// says; what no question takes is refused, and says why.
func TestPrompts(t *testing.T) {
	p := newPlace(t)
	p.connectAs(user)
	way := p.overSocket()
	response, err := (&http.Client{Transport: way}).Do(newRequest(t, http.MethodGet, "http://keeper/api/prompts", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if want := "event: listening\ndata: {\"kind\":\"listening\",\"id\":\"\"}\n\nevent: question\ndata: {\"kind\":\"question\",\"id\":\"Q1\",\"question\":{\"kind\":\"code\",\"code\":\"ABCDEF\""; err != nil || response.StatusCode != 200 || !strings.Contains(string(text), want) {
		t.Errorf("%d, %v, %q", response.StatusCode, err, text)
	}
	for _, tc := range []struct {
		id, body string
		status   int
		says     string
	}{
		{"Q1", `{"outcome":"given","text":"123456"}`, 200, `{"id":"Q1"}`},
		{"Q1", `{"outcome":"declined"}`, 200, `{"id":"Q1"}`},
		{"Q2", `{"outcome":"given","text":"123456"}`, 404, `"code":"not-found"`},
		{"Q1", `{"outcome":"approved"}`, 400, `found \"approved\"`},
		{"Q1", `{}`, 400, "expected given, declined or unavailable"},
		{"Q1", `{"outcome":"given","text":"` + strings.Repeat("1", 4097) + `"}`, 400, "found 4097 bytes"},
	} {
		r := send(t, way, newRequest(t, "POST", "http://keeper/api/prompts/"+tc.id, tc.body))
		if r.status != tc.status || !strings.Contains(r.body, tc.says) {
			t.Errorf("%s %.60s: %d %s", tc.id, tc.body, r.status, r.body)
		}
		if strings.Contains(r.body, "123456") {
			t.Errorf("the answer is shown: %s", r.body)
		}
	}
}
