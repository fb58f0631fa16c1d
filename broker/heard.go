package broker

// Heard reports whether a message on topic would reach any connection now.
func (b *Broker) Heard(topic string) bool {
	b.routes.mu.RLock()
	defer b.routes.mu.RUnlock()
	for _, d := range b.routes.match(&publication{topic: topic}, nil) {
		if d.to.rights.Load().mayRead(topic) {
			return true
		}
	}
	return false
}
