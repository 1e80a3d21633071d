/**
 * What a sidecar adds to its answer where its application could not be connected to: nobody has seen the request, so the
 * caller's sidecar may send it to another instance, whatever its method. An application that stops listening as soon as it is
 * told to end loses nothing by that, though its instance is still called for a moment.
 */
export const UNSEEN_HEADER = "x-outrigger-unseen";
