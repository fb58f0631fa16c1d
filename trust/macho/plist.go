package macho

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Bounds of property lists.
const (
	maxPlist      = 1 << 20 // bytes
	maxPlistDepth = 32
)

var errPlist = errors.New("not a property list that can be read")

// parsePlist reads an XML property list (Apple's PropertyList-1.0.dtd) whose
// root is a dictionary. Values are map[string]any, []any, string, []byte and
// bool; numbers and dates stay strings. It refuses what readers are known to
// disagree about (CVE-2020-3883, "psychic paper"): a key twice, text between
// elements, comments that end early, names with a prefix.
func parsePlist(data []byte) (map[string]any, error) {
	if len(data) > maxPlist {
		return nil, errPlist
	}
	p := &plistReader{decoder: xml.NewDecoder(bytes.NewReader(data))}
	if start, err := p.start(); err != nil || start != "plist" {
		return nil, errPlist
	}
	if start, err := p.start(); err != nil || start != "dict" {
		return nil, errPlist
	}
	value, err := p.dictionary(0)
	if err != nil {
		return nil, err
	}
	if more, err := p.start(); err != nil || more != "" {
		return nil, errPlist
	}
	if _, err := p.start(); !errors.Is(err, io.EOF) {
		return nil, errPlist
	}
	return value, nil
}

type plistReader struct {
	decoder *xml.Decoder
	inside  bool // the first element has begun
}

// start returns the name of the next element, "" at the end of the one around.
func (p *plistReader) start() (string, error) {
	for {
		token, err := p.decoder.Token()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			p.inside = true
			if t.Name.Space != "" {
				return "", errPlist
			}
			return t.Name.Local, nil
		case xml.EndElement:
			return "", nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return "", errPlist
			}
		case xml.ProcInst, xml.Directive: // <?xml ...> and <!DOCTYPE ...>
			if p.inside {
				return "", errPlist
			}
		}
	}
}

// text returns what is inside an element that holds text only.
func (p *plistReader) text() (string, error) {
	var b strings.Builder
	for {
		token, err := p.decoder.Token()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.EndElement:
			return b.String(), nil
		default:
			return "", errPlist
		}
	}
}

func (p *plistReader) dictionary(depth int) (map[string]any, error) {
	found := map[string]any{}
	for {
		switch start, err := p.start(); {
		case err != nil:
			return nil, err
		case start == "":
			return found, nil
		case start != "key":
			return nil, errPlist
		}
		key, err := p.text()
		if err != nil {
			return nil, err
		}
		if _, twice := found[key]; twice {
			return nil, errPlist
		}
		start, err := p.start()
		if err != nil {
			return nil, err
		}
		if found[key], err = p.value(start, depth+1); err != nil {
			return nil, err
		}
	}
}

func (p *plistReader) value(start string, depth int) (any, error) {
	if depth > maxPlistDepth {
		return nil, errPlist
	}
	switch start {
	case "dict":
		return p.dictionary(depth)
	case "array":
		list := []any{}
		for {
			start, err := p.start()
			if err != nil || start == "" {
				return list, err
			}
			v, err := p.value(start, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	case "true", "false":
		text, err := p.text()
		if err == nil && strings.TrimSpace(text) != "" {
			err = errPlist
		}
		return start == "true", err
	case "data":
		text, err := p.text()
		if err != nil {
			return nil, err
		}
		return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	case "string", "integer", "real", "date":
		return p.text()
	}
	return nil, errPlist
}
