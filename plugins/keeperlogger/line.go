package keeperlogger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kpm/core/wire"
)

// Limits of one line, in bytes; what is longer is cut and says so.
const (
	maxMessage = 8 << 10
	maxSource  = 64
	maxKey     = 64
	maxValue   = 1 << 10
	maxFields  = 64
)

// plausible is how far a publisher's clock may differ from ours; beyond it, the
// time of arrival is written.
const plausible = time.Hour

// record is one line before it is written.
type record struct {
	at      time.Time
	level   string
	source  string
	message string
	fields  map[string]any
}

// parse makes a record of what was published: a RequestMessage of type Log, a
// flat Source, Level and Message, or anything else as Information. It reports
// false for nothing at all.
func parse(payload []byte, now time.Time) (record, bool) {
	r := record{at: now, level: "Information", source: "-"}
	if len(bytes.TrimSpace(payload)) == 0 {
		return r, false
	}
	m, err := wire.Decode(payload)
	if err != nil {
		if !r.flat(payload) {
			r.message = bare(payload)
		}
		return r, true
	}
	r.source = m.Source
	if d := now.Sub(m.Timestamp); d > -plausible && d < plausible {
		r.at = m.Timestamp
	}
	var entry wire.LogEntry
	decoder := json.NewDecoder(bytes.NewReader(m.Payload))
	decoder.UseNumber() // request ids and sizes keep their digits
	if m.Type != wire.TypeLog || decoder.Decode(&entry) != nil {
		r.message = bare(m.Payload)
		r.fields = map[string]any{"MessageType": m.Type}
		return r, true
	}
	r.level, r.message, r.fields = entry.Level, entry.Message, entry.Fields
	return r, true
}

// flat reads a record without an envelope (decision 24a).
func (r *record) flat(payload []byte) bool {
	var m struct {
		Source string `json:"Source"`
		wire.LogEntry
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	if decoder.Decode(&m) != nil || m.Message == "" {
		return false
	}
	r.source, r.level, r.message, r.fields = cmp.Or(m.Source, "-"), cmp.Or(m.Level, r.level), m.Message, m.Fields
	return true
}

// bare is the text of a JSON string, or the bytes as they are.
func bare(payload []byte) string {
	var text string
	if json.Unmarshal(payload, &text) == nil {
		return text
	}
	return string(payload)
}

// line is the record as it is written, with its line break:
//
//	2026-11-21T18:00:00.000Z [INF] KeeperPolicy: decided decision=ALLOW user=alice
func (r record) line() []byte {
	var b bytes.Buffer
	b.WriteString(r.at.UTC().Format("2006-01-02T15:04:05.000Z"))
	fmt.Fprintf(&b, " [%s] %s: %s", tag(r.level), word(r.source, maxSource), oneLine(r.message, maxMessage))
	keys := slices.Sorted(maps.Keys(r.fields))
	for i, key := range keys {
		if i == maxFields {
			fmt.Fprintf(&b, " ...=%d", len(keys)-maxFields)
			break
		}
		b.WriteByte(' ')
		b.WriteString(word(key, maxKey))
		b.WriteByte('=')
		b.WriteString(value(r.fields[key]))
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func tag(level string) string {
	return []string{"TRC", "DBG", "INF", "WRN", "ERR", "FTL"}[rank(level)]
}

func value(v any) string {
	switch v := v.(type) {
	case string:
		return word(v, maxValue)
	case json.Number:
		return oneLine(v.String(), maxKey)
	case bool:
		return strconv.FormatBool(v)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return oneLine(string(data), maxValue)
}

// word is text that cannot be taken for two: quoted if it has to be.
func word(s string, limit int) string {
	s = oneLine(s, limit)
	if s == "" || strings.ContainsAny(s, " \"='\\") {
		return strconv.Quote(s)
	}
	return s
}

// oneLine makes text printable (CVE-2023-28486) and cuts it at limit.
func oneLine(s string, limit int) string {
	s, cut := cutFrom(s, limit)
	s = strings.NewReplacer("\r\n", " | ", "\n", " | ", "\t", " ").Replace(strings.TrimSpace(s))
	return wire.Printable(s) + cut
}

// cutFrom is s up to limit, in whole characters, and what says how much is left out.
func cutFrom(s string, limit int) (kept, more string) {
	if len(s) <= limit {
		return s, ""
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit], fmt.Sprintf("...(%d bytes more)", len(s)-limit)
}

func cutAt(s string, limit int) string {
	kept, more := cutFrom(s, limit)
	return kept + more
}
