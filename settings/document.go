package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"kpm/core/wire"
)

// maxDepth bounds how deep objects and lists nest in a document, so that no
// reader of it recurses further.
const maxDepth = 32

// Document is a JSON object that somebody wrote: well-formed, within its size,
// at most 32 levels deep, and no object in it names one key twice in any
// letter case. Property names are read case-insensitively (decision 1), and
// two spellings of one property would hide one of the values from its reader.
type Document struct {
	name string
	data []byte
}

// Name is the file that faults name.
func (d Document) Name() string { return d.name }

// ReadDocument reads the regular file at path, at most limit bytes. trusted
// judges the open handle: a file that somebody else can change is refused, or
// its author would act with our rights. The error is a *Fault, or wraps
// fs.ErrNotExist.
func ReadDocument(path string, limit int64, trusted func(*os.File) error) (Document, error) {
	// Looked at before it is opened: opening a FIFO would wait for a writer.
	info, err := os.Lstat(path)
	if err != nil {
		return Document{}, fmt.Errorf("settings: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Document{}, &Fault{File: path, Found: "this is not a regular file", Expected: "the file itself, no link, directory or pipe"}
	}
	file, err := os.Open(path)
	if err != nil {
		return Document{}, fmt.Errorf("settings: %w", err)
	}
	defer file.Close()
	if err := trusted(file); err != nil {
		return Document{}, &Fault{File: path, Found: "the file cannot be trusted (" + err.Error() + ")", Expected: "it to belong to root and be writable by nobody else (chown root:root, chmod go-w)"}
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return Document{}, fmt.Errorf("settings: %w", err)
	}
	if int64(len(data)) > limit {
		return Document{}, &Fault{File: path, Found: fmt.Sprintf("the file is longer than %d bytes", limit), Expected: "less"}
	}
	return ParseDocument(path, data)
}

// ParseDocument checks data as ReadDocument does; name is for faults, which
// are *Fault.
func ParseDocument(name string, data []byte) (Document, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows write one
	d := Document{name: name, data: data}
	if !utf8.Valid(data) {
		return Document{}, &Fault{File: name, Found: "the text is not UTF-8", Expected: "JSON in UTF-8"}
	}
	if !json.Valid(data) {
		return Document{}, d.syntaxFault()
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return Document{}, &Fault{File: name, Line: 1, Found: "the file does not hold a JSON object", Expected: "{ ... }"}
	}
	if err := d.checkObject(dec, "", 1); err != nil {
		return Document{}, err
	}
	return d, nil
}

func (d Document) syntaxFault() *Fault {
	fault := &Fault{File: d.name, Expected: "a JSON object"}
	var into any
	err := json.Unmarshal(d.data, &into)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		fault.Line = d.line(syntax.Offset)
	}
	if len(bytes.TrimSpace(d.data)) == 0 {
		fault.Found = "the file is empty"
	} else {
		fault.Found = fmt.Sprintf("the file is not JSON (%v)", err)
	}
	return fault
}

func (d Document) line(offset int64) int {
	offset = min(offset, int64(len(d.data)))
	return 1 + bytes.Count(d.data[:offset], []byte("\n"))
}

// checkObject reads the rest of an object whose brace was read. The text is
// known to be valid JSON.
func (d Document) checkObject(dec *json.Decoder, path string, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fmt.Errorf("settings: %s: %w", d.name, err)
		}
		name, _ := key.(string)
		field := joinField(path, name)
		if folded := fold(name); seen[folded] {
			return &Fault{File: d.name, Line: d.line(dec.InputOffset()), Field: field, Found: "given twice", Expected: "each name once, whatever its letter case"}
		} else {
			seen[folded] = true
		}
		if err := d.checkValue(dec, field, depth); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func (d Document) checkValue(dec *json.Decoder, path string, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return fmt.Errorf("settings: %s: %w", d.name, err)
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth >= maxDepth {
		return &Fault{File: d.name, Line: d.line(dec.InputOffset()), Field: path, Found: "nested too deeply", Expected: fmt.Sprintf("at most %d levels", maxDepth)}
	}
	if delim == '{' {
		return d.checkObject(dec, path, depth+1)
	}
	for i := 0; dec.More(); i++ {
		if err := d.checkValue(dec, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// fold makes names that encoding/json takes for the same one equal: it folds
// "s" with U+017F and "k" with U+212A, which lower-casing alone does not.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

func joinField(path, name string) string {
	name = wire.Printable(name)
	if path == "" {
		return name
	}
	return path + "." + name
}

// Decode reads the document into a struct. Unknown names are ignored; the
// error is a *Fault.
func (d Document) Decode(into any) error {
	err := json.Unmarshal(d.data, into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return &Fault{File: d.name, Line: d.line(mismatch.Offset), Field: mismatch.Field, Found: jsonWord(mismatch.Value), Expected: goWord(mismatch.Type)}
	}
	if err != nil {
		return &Fault{File: d.name, Found: "the file cannot be read (" + err.Error() + ")", Expected: "another value"}
	}
	return nil
}

func jsonWord(value string) string {
	kind, rest, _ := strings.Cut(value, " ")
	switch kind {
	case "bool":
		return "true or false"
	case "string":
		return "text"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return strings.TrimSpace("the number " + rest) // "number" or "number 1.5"
}

func goWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return goWord(t.Elem())
	}
	return "a whole number"
}
