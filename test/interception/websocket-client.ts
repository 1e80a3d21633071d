/** `node websocket-client.ts URL TEXT`: sends a text and prints what comes back. */
const [url = "", text = ""] = process.argv.slice(2);
const socket = new WebSocket(url);
socket.onopen = () => socket.send(text);
socket.onmessage = ({ data }) => {
  console.log(data);
  socket.close();
};
socket.onerror = () => {
  process.exitCode = 1;
};
