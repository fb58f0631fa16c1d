// Package plugins reads plugin files and keeps the plugins' processes running:
// started in order, restarted when they end, given up when that does not help,
// and stopped.
//
// It speaks no MQTT and judges no caller: it hears from the broker who is
// connected, and starts processes through a Starter that registers them.
package plugins
