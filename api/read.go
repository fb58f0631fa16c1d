package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"kpm/core/strictjson"
)

// maxDepth bounds how deep objects and lists nest in a body.
const maxDepth = 32

func tooLarge() *Problem {
	return problem(codeTooLarge, "a body is at most %d bytes", maxBody)
}

// readBody reads the body. One that says that it is too long is refused before
// any of it is read, and so is one that says that it is something else than JSON:
// forms are what other origins' pages can send without asking.
func (c *call) readBody() ([]byte, error) {
	if c.ContentLength > maxBody {
		c.w.Header().Set("Connection", "close")
		c.leave()
		return nil, tooLarge()
	}
	if given := c.Header.Get("Content-Type"); given != "" && c.ContentLength != 0 {
		kind, _, err := mime.ParseMediaType(given)
		if err != nil || kind != jsonType && !strings.HasSuffix(kind, "+json") {
			return nil, problem(codeMediaType, "Content-Type is %q, expected %s", given, jsonType)
		}
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge()
	case err != nil:
		return nil, badBody("", "the body ended early")
	}
	return data, nil
}

// leave has net/http wait a moment before it closes a connection whose client is
// still sending, so that it gets the answer and no reset. A client that asked
// first (Expect: 100-continue) is not sending.
func (c *call) leave() {
	if c.Header.Get("Expect") == "" {
		_, _ = http.MaxBytesReader(c.w, c.Body, 0).Read(make([]byte, 1)) // that is how net/http is told
	}
}

// readJSON reads the body as one JSON value in which no object has a key twice.
func (c *call) readJSON() (strictjson.Value, error) {
	data, err := c.readBody()
	if err != nil {
		return strictjson.Value{}, err
	}
	return parse(data)
}

func parse(data []byte) (strictjson.Value, error) {
	v, err := strictjson.Parse(data, maxBody)
	if err == nil {
		err = v.Check(maxDepth)
	}
	if err != nil {
		return v, jsonProblem(err)
	}
	return v, nil
}

// readObject reads the body as one JSON object into into. An empty body leaves
// it alone if optional. The problem points at every field that does not fit.
func (c *call) readObject(into any, optional bool) error {
	data, err := c.readBody()
	if err != nil {
		return err
	}
	if len(data) == 0 && optional {
		return nil
	}
	body, err := parse(data)
	if err != nil {
		return err
	}
	if err := body.Decode(into); err != nil {
		return everyFault(body, into, jsonProblem(err))
	}
	return nil
}

// everyFault decodes the members of a body one by one, so that each that does not
// fit has its pointer. first is what decoding the whole has found.
func everyFault(body strictjson.Value, into any, first *Problem) *Problem {
	if !body.IsObject() {
		return first
	}
	members, _ := body.Members(maxBody)
	all := badBody("", "")
	all.Errors = nil
	for _, m := range members {
		one, err := json.Marshal(map[string]json.RawMessage{m.Key: m.Value.Raw()})
		if err != nil {
			return first
		}
		v, err := strictjson.Parse(one, len(one))
		if err != nil {
			return first
		}
		fresh := reflect.New(reflect.TypeOf(into).Elem()).Interface()
		if err := v.Decode(fresh); err != nil {
			all.Errors = append(all.Errors, jsonProblem(err).Errors...)
		}
	}
	if all.Errors == nil {
		return first
	}
	return all
}

// jsonProblem points at the fault that strictjson found.
func jsonProblem(err error) *Problem {
	var refused *strictjson.Error
	if !errors.As(err, &refused) {
		return badBody("", "not JSON: %v", err)
	}
	if refused.Problem == strictjson.NotJSON {
		detail := fmt.Sprintf("not JSON: %v", refused.Err)
		if refused.Line > 1 { // else whoever has sent it finds the place
			detail += fmt.Sprintf(" (line %d, column %d)", refused.Line, refused.Column)
		}
		if refused.Remedy != "" {
			detail += "; " + refused.Remedy
		}
		return badBody("", "%s", detail)
	}
	f := refused.Fault("")
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return badBody(f.Pointer(), "found %s, expected %s", kind.Value, jsonName(kind.Type.Kind().String()))
	}
	return badBody(f.Pointer(), "%s, expected %s", f.Found, f.Expected)
}

func jsonName(goKind string) string {
	switch goKind {
	case "map", "struct":
		return "an object"
	case "string":
		return "a string"
	}
	return fmt.Sprintf("a %s", goKind)
}
