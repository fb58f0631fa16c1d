package keeperlogger

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// object is the record as one JSON object, without a line break:
//
//	{"time":"2026-11-21T18:00:00.000Z","level":"Information","source":"KeeperPolicy","message":"decided","fields":{"user":"alice"}}
//
// Text has the limits of a line; control characters are escaped as JSON does.
func (r record) object() []byte {
	o := struct {
		Time    string         `json:"time"`
		Level   string         `json:"level"`
		Source  string         `json:"source"`
		Message string         `json:"message"`
		Fields  map[string]any `json:"fields,omitempty"`
		More    int            `json:"fieldsLeftOut,omitempty"`
	}{
		Time: r.at.UTC().Format("2006-01-02T15:04:05.000Z"), Level: levelNames[rank(r.level)],
		Source: cutAt(r.source, maxSource), Message: cutAt(r.message, maxMessage),
	}
	for i, key := range slices.Sorted(maps.Keys(r.fields)) {
		if i == maxFields {
			o.More = len(r.fields) - maxFields
			break
		}
		if o.Fields == nil {
			o.Fields = map[string]any{}
		}
		o.Fields[cutAt(key, maxKey)] = short(r.fields[key])
	}
	data, err := json.Marshal(o)
	if err != nil { // no value of JSON's does that
		data, _ = json.Marshal(map[string]string{"time": time.Time{}.Format(time.RFC3339), "source": ID, "message": err.Error()})
	}
	return data
}

// short is a value within the limits of a line.
func short(v any) any {
	switch v := v.(type) {
	case string:
		return cutAt(v, maxValue)
	case json.Number:
		if len(v) > maxKey {
			return cutAt(v.String(), maxKey)
		}
		return v
	case bool, nil, int:
		return v
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(data) > maxValue {
		return cutAt(string(data), maxValue)
	}
	return json.RawMessage(data)
}
