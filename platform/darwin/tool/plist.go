package tool

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Record is one entry of a directory: the values of each attribute.
type Record map[string][]string

// maxRecords bounds an answer.
const maxRecords = 1 << 16

// errPlist is wrapped for an answer that is no property list of records.
var errPlist = errors.New("not a property list of records")

// records reads what dscl -plist prints: one record, or an array of them. A record
// is a dict whose values are arrays of strings; other values are left out.
func records(b []byte) ([]Record, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	var all []Record
	var record Record
	var key string
	depth := 0 // of dict
	for {
		token, err := d.Token()
		if err == io.EOF && depth == 0 && all != nil {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPlist, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "plist", "array":
			case "dict":
				if depth++; depth > 1 || len(all) == maxRecords {
					return nil, fmt.Errorf("%w: a dict within a dict, or too many", errPlist)
				}
				record, key = Record{}, ""
			case "key", "string":
				var text string
				if err := d.DecodeElement(&text, &t); err != nil {
					return nil, fmt.Errorf("%w: %w", errPlist, err)
				}
				switch {
				case depth == 0:
					return nil, fmt.Errorf("%w: text outside of a dict", errPlist)
				case t.Name.Local == "key":
					key = text
				case key != "":
					record[key] = append(record[key], text)
				}
			default:
				if err := d.Skip(); err != nil {
					return nil, fmt.Errorf("%w: %w", errPlist, err)
				}
			}
		case xml.EndElement:
			if t.Name.Local == "dict" {
				depth--
				all = append(all, record)
			}
		}
	}
}

// value returns the only value of an attribute, or false.
func (r Record) value(attribute string) (string, bool) {
	values := r["dsAttrTypeStandard:"+attribute]
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}
