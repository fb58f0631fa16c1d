package view_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"kpm/core/view"
)

// The names are published; tools decode what the service encoded.
func TestNamesOnTheWire(t *testing.T) {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		value any
		want  string
	}{
		{view.Plugin{}, `{"id":"","name":"","status":"","processId":0}`},
		{view.Plugin{ID: "KeeperPolicy", Name: "Policy", Status: view.Healthy, ProcessID: 77, LastStartTime: started, Detail: "d"},
			`{"id":"KeeperPolicy","name":"Policy","status":"Healthy","processId":77,"lastStartTime":"2026-01-02T03:04:05Z","detail":"d"}`},
		{view.Job{}, `{"id":"","name":"","enabled":false,"allowPluginTrigger":false,"ownEventsOnly":false}`},
		{view.Job{ID: "j", Name: "n", Description: "d", Enabled: true, AllowPluginTrigger: true, OwnEventsOnly: true, Detail: "e"},
			`{"id":"j","name":"n","description":"d","enabled":true,"allowPluginTrigger":true,"ownEventsOnly":true,"detail":"e"}`},
		{view.RunStarted{RunID: "r"}, `{"runId":"r"}`},
		{view.RequestMoved{RequestID: "R"}, `{"RequestId":"R"}`},
		{view.Service{Service: "s", Status: "running", Version: "1"}, `{"service":"s","status":"running","version":"1"}`},
		{view.Health{Status: "healthy", Timestamp: "t", Version: "1"}, `{"status":"healthy","timestamp":"t","version":"1"}`},
		{view.SystemStatus{Status: "running", Healthy: true, Plugins: 1, Jobs: view.JobCounts{Total: 3, Enabled: 2}},
			`{"status":"running","healthy":true,"plugins":1,"jobs":{"total":3,"enabled":2}}`},
		{view.SystemStatus{Status: "running", Problems: []string{"p"}}, `{"status":"running","healthy":false,"problems":["p"],"plugins":0,"jobs":{"total":0,"enabled":0}}`},
	} {
		data, err := json.Marshal(c.value)
		if err != nil || string(data) != c.want {
			t.Errorf("%T: %s (%v)\nwant %s", c.value, data, err, c.want)
		}
		back := reflect.New(reflect.TypeOf(c.value))
		if err := json.Unmarshal(data, back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), c.value) {
			t.Errorf("%s is read as %+v (%v)", data, back.Elem(), err)
		}
	}
}
