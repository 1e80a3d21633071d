package main

import (
	"os"
	"strconv"
	"strings"
)

// lines is text of lines `Name=value`.
type lines struct{ strings.Builder }

func (l *lines) add(name, value string) {
	l.WriteString(name + "=" + value + "\n")
}

func (l *lines) addPort(port int) {
	l.add("ServicePort", strconv.Itoa(port))
}

// addHostname tells the pod's name, by which the suite knows who answered.
func (l *lines) addHostname() {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	l.add("Hostname", name)
}
