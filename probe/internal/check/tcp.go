package check

// checkTCP is content with a connection, or, with TLS, a verified session.
func (s *State) checkTCP() {
	if s.connect() {
		s.message.Str("connected")
	}
}
