package logentry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"kpm/core/strictjson"
	"kpm/core/wire"
)

// maxBare is how many bytes are kept of a message that is no object.
const maxBare = 16 << 10

// Named returns payload, which publisher says on KeeperLogger, as one record of
// publisher's. It may have come in an envelope, flat, or as a bare string
// (decision 24a). What a publisher calls itself beyond its name stands after a
// slash. Attack: a plugin logs in the name of another one.
func Named(publisher string, payload []byte) []byte {
	var m struct {
		wire.RequestMessage
		wire.LogEntry
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber() // numbers keep their digits
	err := decoder.Decode(&m)
	enveloped := m.Type != "" && len(m.Payload) > 0
	if err == nil && enveloped && m.Source == publisher && json.Valid(payload) && !strictjson.Ambiguous(payload) {
		return payload
	}
	whole := m.RequestMessage
	switch {
	case err == nil && enveloped:
	case err == nil && m.Message != "":
		m.Level = cmp.Or(m.Level, "Information")
		whole, err = wire.New(wire.TypeLog, publisher, m.LogEntry)
	default:
		m.Source = ""
		whole, err = wire.New(wire.TypeLog, publisher, wire.LogEntry{Level: "Information", Message: bare(payload)})
	}
	if err != nil {
		return payload
	}
	whole.Source = publisher
	if m.Source != "" && m.Source != publisher {
		whole.Source = publisher + "/" + strings.TrimPrefix(m.Source, publisher+"/")
	}
	data, err := whole.Encode()
	if err != nil { // it has grown too long
		data, err = tooLong(publisher)
	}
	if err != nil {
		return nil
	}
	return data
}

func tooLong(publisher string) ([]byte, error) {
	m, err := wire.New(wire.TypeLog, publisher, wire.LogEntry{Level: "Warning", Message: "a log message was too long to name its publisher, and is left out"})
	if err != nil {
		return nil, err
	}
	return m.Encode()
}

// bare is the text of a JSON string, or the bytes as they are.
func bare(payload []byte) string {
	var text string
	if json.Unmarshal(payload, &text) != nil {
		text = string(payload)
	}
	if len(text) > maxBare {
		cut := maxBare
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "..."
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
