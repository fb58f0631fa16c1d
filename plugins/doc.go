// Package plugins reads plugin files and keeps the plugins' processes running:
// started in order or on request, once or in each session of a user, restarted
// when they end, given up when that does not help, and stopped. Plugins that are a
// part of this program (pluginType Service) it keeps the same way.
//
// It speaks no MQTT and judges no caller: it hears from the broker who is
// connected, and starts processes through a Starter that registers them.
package plugins
