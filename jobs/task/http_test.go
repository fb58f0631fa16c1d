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
		source := sourceOf(t, "tasks[0]", fmt.Sprintf(`{"url": "{KeeperApiBaseUrl}/x", "headers": {%q: "v"}}`, name))
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
	const expected = `with tokens in its path and query only`
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
		{"https://host/{Path}", "https://host/{Path}", ""},
		{"{KeeperApiBaseUrl}/api/Jobs/{Which}/trigger", "http://localhost/api/Jobs/{Which}/trigger", ""},
		{"{KeeperApiBaseUrl}/api/{not a token}", "", expected},
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
		source := sourceOf(t, "tasks[0]", fmt.Sprintf(`{"url": %q}`, tc.url))
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
		if err := faults.Err(); err != nil || got.written != tc.address || query != tc.query {
			t.Errorf("%s: got %s ? %s, %v", tc.url, got.written, query, err)
		}
	}
}

// Attack: a value in a path asks for another path than the file says.
func TestAValueStaysOneSegmentOfThePath(t *testing.T) {
	const url = `"url": "{KeeperApiBaseUrl}/api/Jobs/{Which}/trigger", "method": "POST"`
	for value, want := range map[string]string{
		"scan": "/api/Jobs/scan/trigger", "a/b": "/api/Jobs/a%2Fb/trigger", "a?b#c": "/api/Jobs/a%3Fb%23c/trigger", "%2e%2e": "/api/Jobs/%252e%252e/trigger",
		"a b": "/api/Jobs/a%20b/trigger", "..": "", ".": "", "": "", "../../launch": "/api/Jobs/..%2F..%2Flaunch/trigger",
	} {
		var asked []seen
		err := ask(t, url, map[string]string{"Which": value}, recorder(&asked, 202, "{}"))
		switch {
		case want == "" && (err == nil || len(asked) > 0):
			t.Errorf("%q was sent: %v", value, asked)
		case want != "" && (err != nil || asked[0].target != want):
			t.Errorf("%q: %v %v", value, err, asked)
		}
	}
}

// A loopback URL that is written out is the local API, if its port is ours.
func TestLiteralLoopbackURLs(t *testing.T) {
	for url, local := range map[string]bool{
		"https://127.0.0.1:6889/x": true, "https://localhost:6889/x": true, "https://[::1]:6889/x": true, "https://LOCALHOST:6889/x": true,
		"http://127.0.0.1:6888/x": true, "http://localhost:6888/x": true, "http://127.0.0.1/x": false, "http://10.0.0.1:6888/x": false,
		"https://127.0.0.1:6888/x": false, "http://127.0.0.1:6889/x": false, "https://localhost.example.com:6889/x": false, "https://127.0.0.1/x": false,
	} {
		got := compile(t, Kinds{HTTP()}, "Http", fmt.Sprintf(`{"url": %q}`, url)).(*exchange)
		if is := got.meansLocal(&playedRun{held: []string{"https://127.0.0.1:6889", "http://127.0.0.1:6888"}}); is != local {
			t.Errorf("%s: local %v", url, is)
		}
		if got.meansLocal(&playedRun{}) {
			t.Errorf("%s is local while no port is held", url)
		}
		if !local {
			continue
		}
		// The local API serves no Host but its own listener's.
		var asked []seen
		run := &playedRun{held: []string{"https://127.0.0.1:6889", "http://127.0.0.1:6888"}, local: localAPI{recorder(&asked, 200, "")}}
		if _, err := got.Run(t.Context(), run); err != nil || len(asked) != 1 || asked[0].host != "localhost" || asked[0].target != "/x" {
			t.Errorf("%s: %v %+v", url, err, asked)
		}
	}
}

// Attack: a job has the service fetch the machine's cloud credentials.
func TestMetadataAddressesAreNotReached(t *testing.T) {
	for _, url := range []string{"http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://[fe80::1]/", "http://[fd00:ec2::254]/", "http://100.100.100.200/"} {
		if err := ask(t, fmt.Sprintf(`"url": %q`, url), nil, nil); !errors.Is(err, errMetadata) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A response becomes context where the task says so.
func TestAResponseIsMerged(t *testing.T) {
	source := sourceOf(t, "tasks[0]", `{"url": "{KeeperApiBaseUrl}/x"}`)
	source.Merge = true
	task := HTTP().Compile(source)
	for answer, want := range map[string]string{`{"A": 1}`: "map[A:1]", `[1]`: "expected one JSON object", ``: "expected one JSON object"} {
		run := &playedRun{local: localAPI{recorder(&[]seen{}, 200, answer)}}
		found, err := task.Run(t.Context(), run)
		if got := fmt.Sprint(found, err); !strings.Contains(got, want) {
			t.Errorf("%s: %s", answer, got)
		}
		if run.report.Output != "200 OK\n"+answer {
			t.Errorf("kept %q", run.report.Output)
		}
	}
}
