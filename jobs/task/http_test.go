package task

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// seen is what a server was asked.
type seen struct {
	method, target, host, body string
	header                     http.Header
}

func recorder(into *[]seen, status int, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*into = append(*into, seen{r.Method, r.RequestURI, r.Host, string(body), r.Header})
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}
}

// localAPI plays the connection to the local API.
type localAPI struct{ serve http.HandlerFunc }

func (l localAPI) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.RequestURI = req.URL.RequestURI()
	w := httptest.NewRecorder()
	l.serve(w, req)
	return w.Result(), nil
}

// ask runs an Http task with these fields.
func ask(t *testing.T, fields string, values map[string]string, local http.HandlerFunc) error {
	t.Helper()
	_, err := compile(t, Kinds{HTTP()}, "Http", "{"+fields+"}").Run(t.Context(), &playedRun{values: values, local: localAPI{local}})
	return err
}

// Attack: a value in a body closes its string and adds a field.
func TestAValueStaysInsideItsJSONString(t *testing.T) {
	for _, body := range []string{`{"RequestId": "R1", "Message": "{FilePath}"}`, `"{\"RequestId\": \"R1\", \"Message\": \"{FilePath}\"}"`} {
		var asked []seen
		const value = `", "RequestId": "R2", "x": "`
		if err := ask(t, `"url": "{KeeperApiBaseUrl}/x", "body": `+body, map[string]string{"FilePath": value}, recorder(&asked, 200, "")); err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(asked[0].body), &got); err != nil || len(got) != 2 || got["RequestId"] != "R1" || got["Message"] != value {
			t.Errorf("%s became %s (%v)", body, asked[0].body, err)
		}
	}
}

// Attack: a value in a header ends its line and begins another header.
func TestAHeaderValueHasOneLine(t *testing.T) {
	var asked []seen
	for _, value := range []string{"a\r\nX-Evil: 1", "a\nb", "a\x00b"} {
		err := ask(t, `"url": "{KeeperApiBaseUrl}/x", "headers": {"X-Name": "{UserName}"}`, map[string]string{"UserName": value}, recorder(&asked, 200, ""))
		if err == nil || !strings.Contains(err.Error(), "header X-Name: the value holds a line end") {
			t.Errorf("%q: got %v", value, err)
		}
	}
	if len(asked) != 0 {
		t.Errorf("sent %+v", asked)
	}
}

func TestHeadersThatDecideTheConnectionAreRefused(t *testing.T) {
	for _, name := range []string{"Host", "host", "Content-Length", "transfer-encoding", "Connection", "Upgrade", "a b", "x:y", ""} {
		source := NewSource("j.json", "tasks[0]", json.RawMessage(fmt.Sprintf(`{"url": "{KeeperApiBaseUrl}/x", "headers": {%q: "v"}}`, name)))
		HTTP().Compile(source)
		if err := source.Faults().Err(); err == nil || !strings.Contains(err.Error(), "tasks[0].headers.") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestWhatCountsAsSuccess(t *testing.T) {
	problem := `{"type": "about:blank", "title": "Conflict", "status": 409, "detail": "request R1 is past this step", "code": "conflict"}`
	for _, tc := range []struct {
		name   string
		fields string
		status int
		answer string
		want   string
	}{
		{"200", ``, 200, "", ""},
		{"204", ``, 204, "", ""},
		{"problem details are told", ``, 409, problem, "POST http://localhost/x: status 409: Conflict: request R1 is past this step"},
		{"any text is told, made safe", ``, 500, "oops \x1b[2J\n", "status 500: oops \ufffd[2J"},
		{"a long text is cut", ``, 500, strings.Repeat("x", 5000), strings.Repeat("x", maxProblem) + "..."},
		{"named codes alone", `, "successCodes": [409]`, 409, problem, ""},
		{"and 200 is not among them", `, "successCodes": [409]`, 200, "", "status 200"},
		{"a redirect is not followed", ``, 302, "", "status 302"},
		{"a long answer", ``, 200, strings.Repeat("x", maxBody+1), "the response is longer than 1048576 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := 0
			err := ask(t, `"method": "post", "url": "{KeeperApiBaseUrl}/x"`+tc.fields, nil, func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.Header().Set("Location", "https://evil.example.com/")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.answer)
			})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %q", err, tc.want)
			}
			if asked != 1 {
				t.Errorf("%d requests were sent", asked)
			}
		})
	}
}

// A request to another machine carries nothing of ours: no local connection, no
// name of the product, no proxy from the environment.
func TestAnExternalRequestCarriesNoIdentity(t *testing.T) {
	var asked []seen
	server := httptest.NewServer(recorder(&asked, 200, ""))
	defer server.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1/")
	local := func(http.ResponseWriter, *http.Request) { t.Error("the local API's connection was used") }
	if err := ask(t, fmt.Sprintf(`"url": "%s/hook?who={UserName}"`, server.URL), map[string]string{"UserName": "ann&admin=1"}, local); err != nil {
		t.Fatal(err)
	}
	got := asked[0]
	if got.method != "GET" || got.target != "/hook?who=ann%26admin%3D1" || got.header.Get("User-Agent") != "" || got.header.Get("Cookie") != "" || got.header.Get("Authorization") != "" {
		t.Errorf("got %+v", got)
	}
}

func TestAnExternalServerMustProveItsName(t *testing.T) {
	server := httptest.NewUnstartedServer(recorder(new([]seen), 200, ""))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	var unknown *tls.CertificateVerificationError
	if err := ask(t, fmt.Sprintf(`"url": "%s/"`, server.URL), nil, nil); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}

// Attack: an event's context chooses where a request goes.
func TestTokensInAnAddressAreRefused(t *testing.T) {
	const expected = `with tokens after the "?" only`
	for _, tc := range []struct{ url, address, query string }{
		{"{KeeperApiBaseUrl}/api/launch", "http://localhost/api/launch", ""},
		{"{keeperapibaseurl}/api/x?y={UserName}", "http://localhost/api/x", "y={UserName}"},
		{"{KeeperApiBaseUrl}", "http://localhost", ""},
		{"https://hooks.example.com/a?b=c&d={E}", "https://hooks.example.com/a", "b=c&d={E}"},
		{"http://[::1]:8080/", "http://[::1]:8080/", ""},
		{"", "", expected},
		{"/api/launch", "", expected},
		{"{FilePath}", "", expected},
		{"{Scheme}://host/", "", expected},
		{"https://{Host}/", "", expected},
		{"https://host.{Domain}/", "", expected},
		{"https://host/{Path}", "", expected},
		{"{KeeperApiBaseUrl}/api/{Which}", "", expected},
		{"{KeeperApiBaseUrl}@evil.example.com/", "", expected},
		{"{KeeperApiBaseUrl}.evil.example.com/", "", expected},
		{"{KeeperApiBaseUrl}:1234/", "", expected},
		{"{KeeperApiBaseUrl}{KeeperApiBaseUrl}/", "", expected},
		{"https://user:secret@host/", "", expected},
		{"https://host/#part", "", expected},
		{"https://host/?q#{Part}", "", expected},
		{"ftp://host/", "", expected},
		{"file:///etc/passwd", "", expected},
		{"https:\\\\host/", "", expected},
	} {
		source := NewSource("f", "tasks[0]", json.RawMessage(fmt.Sprintf(`{"url": %q}`, tc.url)))
		compiled := HTTP().Compile(source)
		faults := source.Faults()
		if tc.query == expected {
			if faults.Err() == nil || !strings.Contains(faults.Error(), expected) {
				t.Errorf("%s: got %v, want a fault", tc.url, faults)
			}
			continue
		}
		got := compiled.(*exchange)
		query, _ := got.query.Expand(func(token string) (string, error) { return "{" + token + "}", nil })
		if err := faults.Err(); err != nil || got.address != tc.address || query != tc.query {
			t.Errorf("%s: got %s ? %s, %v", tc.url, got.address, query, err)
		}
	}
}
