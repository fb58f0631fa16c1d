package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Ports is run/ports.json: what a running service really holds (decision 3).
// A port that is not held is 0.
type Ports struct {
	HTTP      int       `json:"http"`
	HTTPS     int       `json:"https"`
	MQTT      int       `json:"mqtt"`
	Door      string    `json:"door"`
	MQTTLocal string    `json:"mqttLocal"`
	PID       int       `json:"pid"`
	StartTime time.Time `json:"startTime"`
}

// WritePorts says to the machine that the service is ready. write replaces a
// file atomically.
func WritePorts(l Layout, p Ports, write func(path string, data []byte, perm os.FileMode) error) error {
	p.StartTime = p.StartTime.UTC()
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("settings: ports: %w", err)
	}
	if err := write(l.Ports(), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("settings: ports: %w", err)
	}
	return nil
}

// RemovePorts says that no service is ready at l.
func RemovePorts(l Layout) error {
	if err := os.Remove(l.Ports()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("settings: ports: %w", err)
	}
	return nil
}
