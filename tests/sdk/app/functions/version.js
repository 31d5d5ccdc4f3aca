exports = () => "first";
