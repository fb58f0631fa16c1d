package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"kpm/api"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// contract is the published document, as the server serves it.
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

func newContract(t *testing.T, served string) contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(served))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	// The library knows text, and this is as good as text to it.
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.RegisteredBodyDecoder("text/plain"))
	doc.Servers = nil // tests serve on other ports
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return contract{doc, router}
}

// check reports how a response differs from what the document says.
func (c contract) check(r reply) error {
	request := r.request.Clone(context.Background())
	request.URL = &url.URL{Path: r.request.URL.Path, RawPath: r.request.URL.RawPath}
	request.Body = http.NoBody
	route, params, err := c.router.FindRoute(request)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route},
		Status:                 r.status,
		Header:                 r.header,
		Body:                   io.NopCloser(strings.NewReader(r.body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
}

// Every answer to every caller is one that the document describes.
func TestAnswersAreTheDocumentedOnes(t *testing.T) {
	p := newPlace(t)
	c := newContract(t, send(t, p.overTLS(), newRequest(t, "GET", "https://"+p.tls+"/openapi.json", "")).body)
	statuses := map[int]bool{}
	check := func(r reply) {
		statuses[r.status] = true
		// The document says nothing of paths and methods that it does not have.
		if r.status == 405 || strings.Contains(r.body, `"code":"not-found"`) {
			return
		}
		if err := c.check(r); err != nil {
			t.Errorf("%s %s: %v\n%s", r.request.Method, r.request.URL, err, r.body)
		}
	}
	everyExchange(t, func(_ being, _ int, r reply) {
		if r.request.URL.Scheme == "http" { // over HTTPS they are the same
			check(r)
		}
	})
	everyProblem(t, check)
	for _, want := range []int{200, 202, 400, 403, 404, 405, 409, 413, 500} {
		if !statuses[want] {
			t.Errorf("no exchange ended in %d", want)
		}
	}
}

// The validator would notice: an answer with a field too many or too few fails.
func TestTheContractIsStrict(t *testing.T) {
	p := newPlace(t)
	c := newContract(t, send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/openapi.json", "")).body)
	good := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/health", ""))
	for _, body := range []string{`{}`, strings.Replace(good.body, "healthy", "ill", 1), strings.Replace(good.body, "{", `{"more":1,`, 1)} {
		bad := good
		bad.body = body
		if c.check(bad) == nil {
			t.Errorf("the contract accepts %s", body)
		}
	}
}

func TestTheServedDocumentIsTheCommittedOne(t *testing.T) {
	p := newPlace(t)
	served := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/openapi.json", "")).body
	var compact bytes.Buffer
	if err := json.Compact(&compact, readFile(t, "openapi.json")); err != nil {
		t.Fatal(err)
	}
	if served != compact.String() {
		t.Error("what is served is not openapi.json")
	}
}

// The document has exactly the routes that the server has: every documented
// operation answers, and what is not documented is not found.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	p := newPlace(t)
	c := newContract(t, string(readFile(t, "openapi.json")))
	var documented []string
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	sort.Strings(documented)
	var served []string
	for _, row := range api.Rows() {
		served = append(served, row.Method+" "+row.Path)
		operation := c.doc.Paths.Find(row.Path).GetOperation(row.Method)
		if got := operation.Extensions["x-tier"]; got != row.Tier {
			t.Errorf("%s %s: x-tier %v, the code says %s", row.Method, row.Path, got, row.Tier)
		}
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
			path := strings.NewReplacer("{plugin}", "Chat", "{setting}", "colour", "{id}", "inventory", "{name}", "KeeperPolicy", "{schema}", "job.schema.json").Replace(row.Path)
			r := send(t, p.overSocket(), newRequest(t, method, "http://keeper"+path, ""))
			if got, want := r.status != 405, c.doc.Paths.Find(row.Path).GetOperation(method) != nil; got != want {
				t.Errorf("%s %s: served %v (%d), documented %v", method, row.Path, got, r.status, want)
			}
		}
	}
	sort.Strings(served)
	if !slices.Equal(documented, served) {
		t.Errorf("documented: %v\nserved:     %v", documented, served)
	}
}

// Clients compare codes: every one of them is documented, and no other.
func TestEveryProblemCodeIsDocumented(t *testing.T) {
	c := newContract(t, string(readFile(t, "openapi.json")))
	schema := c.doc.Components.Schemas["Problem"].Value.Properties["code"].Value
	var documented, defined, answered []string
	for _, name := range schema.Enum {
		documented = append(documented, name.(string))
		if !strings.Contains(schema.Description, "- `"+name.(string)+"`: ") {
			t.Errorf("code %s is not described", name)
		}
	}
	inspect(t, "code.go", func(n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "code" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			defined = append(defined, value)
		}
	})
	for _, response := range c.doc.Components.Responses {
		for _, code := range response.Value.Content["application/problem+json"].Schema.Value.AllOf[1].Value.Properties["code"].Value.Enum {
			answered = append(answered, code.(string))
		}
	}
	answered = append(answered, "unsupported") // by no operation yet
	for _, list := range [][]string{documented, defined, answered} {
		sort.Strings(list)
	}
	if !slices.Equal(documented, defined) || !slices.Equal(documented, answered) {
		t.Errorf("documented: %v\ndefined:    %v\nanswered:   %v", documented, defined, answered)
	}
}

func inspect(t *testing.T, path string, visit func(ast.Node)) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		visit(n)
		return true
	})
}
