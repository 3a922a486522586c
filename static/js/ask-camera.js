// The camera: a live preview where the browser allows it, else the device's own camera application.

const QUALITY = 0.92; // of the JPEG that is sent

export class Camera {
  /** taken(file): told of each photograph. problem(sentence): told why there is no live preview. */
  constructor({ button, section, view, take, close, app }, taken, problem) {
    Object.assign(this, { button, section, view, taken, problem });
    this.stream = null;
    this.live = Boolean(navigator.mediaDevices?.getUserMedia);
    button.hidden = false;
    button.addEventListener("click", () => (this.live ? this.open() : app.click()));
    take.addEventListener("click", () => this.take());
    close.addEventListener("click", () => {
      this.close();
      button.focus();
    });
    section.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close.click();
    });
    app.addEventListener("change", () => {
      if (app.files.length) taken(app.files[0]);
      app.value = "";
    });
    window.addEventListener("pagehide", () => this.close());
    this.shutter = take;
  }

  async open() {
    const wanted = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
    } catch (failure) {
      this.live = false; // the next press opens the camera application, or a choice of files
      const denied = failure.name === "NotAllowedError";
      this.problem(
        `${denied ? "The browser does not allow this page to use the camera." : "No camera was found."} ` +
          "Press the button again to use your device's camera app, or choose a picture.",
      );
      return;
    }
    this.view.srcObject = this.stream;
    this.section.hidden = false;
    await this.view.play().catch(() => {}); // it was closed meanwhile
    this.section.scrollIntoView({ block: "nearest" });
    this.shutter.focus();
  }

  take() {
    if (!this.view.videoWidth) return; // no picture has arrived yet
    const canvas = document.createElement("canvas");
    canvas.width = this.view.videoWidth;
    canvas.height = this.view.videoHeight;
    canvas.getContext("2d").drawImage(this.view, 0, 0);
    canvas.toBlob((blob) => this.taken(new File([blob], "photograph.jpg", { type: "image/jpeg" })), "image/jpeg", QUALITY);
    this.close();
  }

  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.view.srcObject = null;
    this.section.hidden = true;
  }
}
